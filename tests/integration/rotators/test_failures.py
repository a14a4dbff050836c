"""What is said when the server cannot be reached, or refuses. The message names the place, and no value."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.rotators.worlds import PASSWORD, Shop
from tests.rotators.proxies import MortalProxy
from tests.rotators.scripted_server import ScriptedServer, asking_in_the_clear

from keyturn_lab.ports import free_port
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.postgres.connection import Session
from keyturn_rotators.errors import Kind, RotationError

LIMIT = 1.0
SLACK = 30.0
"""Seconds that a busy machine may take; without the limit each of these would last for minutes."""


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_where_nobody_listens_is_a_network_failure(shop: Shop) -> None:
    port = free_port()
    shop.set_value("app", port=port)
    error = shop.failure_of_set(within=LIMIT)
    assert error.kind is Kind.NETWORK
    assert f"host {shop.pg.host}:{port}" in str(error)
    assert "security groups" in error.check


def test_a_server_that_never_answers_fails_within_the_steps_limit(shop: Shop) -> None:
    with silent_listener() as port:
        shop.set_value("app", port=port)
        started = time.monotonic()
        error = shop.failure_of_set(within=LIMIT)
    assert time.monotonic() - started < LIMIT + SLACK
    assert error.kind is Kind.NETWORK


def test_a_statement_that_waits_for_a_lock_fails_within_the_steps_limit(shop: Shop) -> None:
    shop.rotate()
    with shop.connection() as blocker:
        blocker.run("SELECT pg_advisory_lock(hashtextextended(:name, 0))", name=f"keyturn/{shop.app}")
        started = time.monotonic()
        error = shop.failure_of_set(within=LIMIT)
    assert time.monotonic() - started < LIMIT + SLACK
    assert error.kind is Kind.NETWORK


def test_a_server_that_answers_slowly_every_time_does_not_stretch_the_steps_limit(shop: Shop) -> None:
    with MortalProxy(shop.pg.host, shop.pg.port, delay=LIMIT) as slow:
        shop.set_value("app", port=slow.port)
        shop.set_value("superuser", port=slow.port)
        started = time.monotonic()
        error = shop.failure_of_set(within=LIMIT)
    assert time.monotonic() - started < LIMIT + SLACK
    assert error.kind is Kind.NETWORK


def test_a_host_that_has_no_address_is_a_network_failure(shop: Shop) -> None:
    shop.set_value("app", host="no-such-host.invalid")
    shop.set_value("superuser", host="no-such-host.invalid")
    assert shop.failure_of_set(within=LIMIT).kind is Kind.NETWORK


def test_a_server_without_tls_is_a_tls_failure_unless_the_secret_says_ssl_false(shop: Shop) -> None:
    shop.set_value("app", ssl=None)
    error = shop.failure_of_set(within=LIMIT)
    assert error.kind is Kind.TLS
    assert '"ssl": false' in error.check


def test_a_database_that_is_not_there_is_told_as_such(shop: Shop) -> None:
    shop.set_value("app", dbname="nowhere")
    error = shop.failure_of_set(within=LIMIT)
    assert error.kind is Kind.POLICY
    assert "dbname" in error.check


def test_a_reader_or_a_standby_is_told_as_such(shop: Shop) -> None:
    with Session(shop.current, deadline=Deadline.after(60)) as session, pytest.raises(RotationError) as refused:
        session.run(f"BEGIN READ ONLY; ALTER ROLE {shop.app} PASSWORD NULL")
    assert refused.value.kind is Kind.SERVER
    assert "the writer" in refused.value.check


def test_a_user_at_its_connection_limit_is_told_as_such(shop: Shop) -> None:
    shop.own(f"ALTER ROLE {shop.app} CONNECTION LIMIT 1")
    with shop.connection():
        error = shop.failure_of_set(within=LIMIT)
    assert error.kind is Kind.SERVER
    assert "connection limits" in error.check


def test_a_server_that_asks_for_the_password_in_the_clear_gets_none_without_tls(shop: Shop) -> None:
    heard: list[bytes] = []
    with ScriptedServer(asking_in_the_clear(heard)) as other:
        shop.set_value("app", port=other.port)
        error = shop.failure_of_set(within=LIMIT)
    assert error.kind is Kind.POLICY
    assert heard
    assert PASSWORD.encode() not in b"".join(heard)
