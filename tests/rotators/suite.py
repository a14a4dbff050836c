"""The cases that every engine passes against its own back end.

An engine's tests are a class of its own:

    class TestPostgresAlternating(EngineSuite):
        capabilities = frozenset({Capability.HOST, ...})

        @pytest.fixture
        def bench(self, pg: Postgres) -> Iterator[Bench]: ...

A case marked `needs` is not there for a class that has not declared the capability; one marked `lacks`, for a class that has.
"""

import itertools
import json
import socket
import time
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.rotators.bench import APP, SUPERUSER, Bench, Capability
from tests.rotators.cases import lacks, needs
from tests.rotators.older_versions import OlderVersions

from keyturn_lab.ports import free_port
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import chooser
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Request, Rotation, Step
from keyturn_rotators.store import SecretsManager
from keyturn_rotators.versions import PENDING

LIMIT = 1.0  # seconds, for a step against a host that is down
SLACK = 30.0  # seconds that a busy machine may take on top


class EngineSuite(OlderVersions, complete=False):
    """Subclass it, declare `capabilities`, and define the fixture `bench`."""

    # whole rotations

    def test_a_rotation_makes_another_credential_current_and_valid(self, bench: Bench) -> None:
        before, first = bench.current, bench.current_version()
        token = bench.rotate()
        assert bench.current_version() == token != first
        assert bench.current.get(bench.credential_field) != before.get(bench.credential_field)
        assert bench.can_login(bench.current)

    @needs(Capability.OVERLAP)
    def test_the_credential_before_works_until_the_next_rotation(self, bench: Bench) -> None:
        for _ in range(3):
            before = bench.current
            bench.rotate()
            assert bench.can_login(before)
            assert bench.can_login(bench.current)

    @lacks(Capability.OVERLAP)
    def test_the_credential_before_is_refused_as_soon_as_the_next_is_set(self, bench: Bench) -> None:
        before, token = bench.current, bench.store.start(APP)
        bench.step(Step.CREATE, token)
        assert bench.can_login(before)
        bench.step(Step.SET, token)
        assert not bench.can_login(before)

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.can_login(bench.current)
        assert not bench.can_login(bench.pending)

    def test_one_rotation_costs_no_more_calls_of_the_secret_than_it_must(self, bench: Bench) -> None:
        bench.rotate()
        calls = {action: number for (action, secret), number in bench.store.calls.items() if secret == APP}
        most = {"DescribeSecret": 3, "GetSecretValue": 4, "PutSecretValue": 1, "UpdateSecretVersionStage": 1}
        assert calls == most

    # steps that are repeated

    @pytest.mark.parametrize("done", range(1, len(ROTATION) + 1))
    def test_aws_may_start_again_from_the_first_step_after_any(self, bench: Bench, done: int) -> None:
        token = bench.store.start(APP)
        bench.steps(ROTATION[:done], token)
        bench.steps(ROTATION, token)
        assert bench.current_version() == token
        assert bench.can_login(bench.current)

    def test_each_step_may_come_twice(self, bench: Bench) -> None:
        token = bench.store.start(APP)
        bench.steps([step for step in ROTATION for _ in range(2)], token)
        assert bench.can_login(bench.current)

    def test_steps_may_come_again_in_the_wrong_order(self, bench: Bench) -> None:
        token = bench.store.start(APP)
        bench.steps(ROTATION[:3], token)
        bench.steps(reversed(ROTATION), token)
        assert bench.current_version() == token
        assert bench.can_login(bench.current)

    def test_a_pending_credential_stays_the_same_when_steps_come_again(self, bench: Bench) -> None:
        token = bench.store.start(APP)
        bench.steps(ROTATION[:2], token)
        pending = bench.pending
        bench.steps(ROTATION[:2], token)
        assert bench.pending == pending
        assert bench.can_login(pending)

    # rotations that die

    @pytest.mark.timeout(1800)
    def test_wherever_a_rotation_dies_the_current_credential_logs_in_and_the_next_attempt_completes_it(self, bench: Bench) -> None:
        for end in itertools.count(step=bench.strides[0]):
            token = bench.store.start(APP)
            survived = bench.survives(ROTATION, token, ends_before=end)
            assert self._somebody_logs_in(bench), f"nothing logs in after the death before request {end}"
            bench.steps(ROTATION, token)
            assert bench.current_version() == token
            assert bench.can_login(bench.current), f"after the attempt that followed the death before request {end}"
            if survived:
                break
        assert end >= len(ROTATION), "a rotation makes requests"

    def test_a_rotation_that_died_is_followed_by_another(self, bench: Bench) -> None:
        # With one credential at a time, what was set last is known to the version of its rotation only: AWS repeats that one.
        for done in range(1, len(ROTATION) if Capability.OVERLAP in self.capabilities else 2):
            bench.steps(ROTATION[:done], bench.store.start(APP))
            bench.rotate()
            assert bench.can_login(bench.current)

    # what is in the secret

    def test_other_fields_are_carried_along_whatever_their_letters(self, bench: Bench) -> None:
        others: dict[str, Any] = {"note": "Zoë 漢字 😀 \u2028 \\ \" '", "Ключ": [1, {"ø": None}], "rate": 0.25}
        bench.edit(APP, **others)
        bench.rotate()
        value = json.loads(bench.store.value(APP))
        assert {name: value[name] for name in others} == others
        assert bench.can_login(bench.current)

    def test_a_secret_of_ten_kilobytes_is_rotated(self, bench: Bench) -> None:
        bench.edit(APP, certificate="ü" * 5_000)
        bench.rotate()
        assert len(bench.store.value(APP).encode()) > 10_000
        assert bench.can_login(bench.current)

    @pytest.mark.parametrize("value", ["just some text", '["a list"]', "{", ""])
    def test_a_value_that_is_not_a_json_object_is_refused_and_not_shown(self, bench: Bench, value: str) -> None:
        before = bench.current
        bench.store.values[APP][bench.current_version()] = value
        with pytest.raises(RotationError, match="not a JSON object") as refused:
            bench.step(Step.CREATE, bench.store.start(APP))
        assert refused.value.kind is Kind.POLICY
        assert "some text" not in str(refused.value)
        assert bench.can_login(before)

    def test_a_binary_value_is_refused(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        with mock_aws():
            client = boto3.client("secretsmanager", region_name="eu-west-1")
            secret = client.create_secret(Name="binary", SecretBinary=b"\x00canary")["ARN"]
            token = "11111111-2222-4333-8444-555555555555"
            client.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretBinary=b"\x01", VersionStages=[PENDING])
            rotation = Rotation(SecretsManager(client), chooser(bench.environ), deadline=Deadline.after(60))
            with pytest.raises(RotationError, match="binary") as refused:
                rotation.run(Request(step=Step.CREATE, secret=secret, token=token))
        assert refused.value.kind is Kind.POLICY
        assert "canary" not in str(refused.value)

    @needs(Capability.PASSWORD)
    def test_passwords_of_every_printable_character_are_taken(self, bench: Bench) -> None:
        for password in bench.passwords_of_every_character():
            token = bench.store.start(APP)
            bench.step(Step.CREATE, token)
            bench.edit(APP, label=PENDING, **{bench.credential_field: password})
            bench.steps(ROTATION[1:], token)
            assert bench.current.get(bench.credential_field) == password
            assert bench.can_login(bench.current)
        bench.rotate()
        assert bench.can_login(bench.current)

    @needs(Capability.PASSWORD)
    def test_the_environment_says_how_a_password_is_made(self, bench: Bench) -> None:
        bench.environ |= {"KEYTURN_PASSWORD_LENGTH": "20", "KEYTURN_EXCLUDE_PUNCTUATION": "true"}
        bench.rotate()
        password = bench.current.text(bench.credential_field)
        assert len(password) == 20
        assert password.isalnum()
        assert bench.can_login(bench.current)

    # what can be wrong

    @needs(Capability.SUPERUSER)
    def test_a_superuser_who_is_refused_is_told_as_such_and_changes_nothing(self, bench: Bench) -> None:
        bench.spoil_superuser()
        error = bench.failure_of_set()
        assert error.kind is Kind.AUTHENTICATION
        assert f"secret {SUPERUSER}" in str(error)
        assert bench.can_login(bench.current)

    @needs(Capability.HOST)
    def test_a_host_where_nobody_listens_is_a_network_failure(self, bench: Bench) -> None:
        self._move_to(bench, free_port())
        error = bench.failure_of_set()
        assert error.kind is Kind.NETWORK
        assert "security groups" in error.check

    @needs(Capability.HOST)
    def test_a_host_that_never_answers_fails_within_the_steps_limit(self, bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self._move_to(bench, silent.getsockname()[1])
            started = time.monotonic()
            error = bench.failure_of_set(within=LIMIT)
        assert time.monotonic() - started < LIMIT + SLACK
        assert error.kind is Kind.NETWORK

    @needs(Capability.TLS)
    def test_tls_that_cannot_be_verified_is_a_tls_failure(self, bench: Bench) -> None:
        bench.spoil_tls()
        assert bench.failure_of_set().kind is Kind.TLS
