"""RabbitMQ's management API as proxies change it, and users whose apps connect again at once: what a lab's quiet server does not show."""

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq import management
from keyturn_rotators.engines.rabbitmq import users as rabbitmq_users
from keyturn_rotators.engines.rabbitmq.management import Management
from keyturn_rotators.engines.rabbitmq.single import SingleUser
from keyturn_rotators.engines.rabbitmq.users import Users
from keyturn_rotators.errors import Kind, RotationError


class Api(ThreadingHTTPServer):
    """Closes each connection with its answer, as HTTP/1.0. Its one user always has a connection, each time another one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.numbers = itertools.count()
        self.open: set[str] = set()
        self.deleted: list[str] = []
        self.connects_again = True

    def answer(self, method: str, path: str) -> object:
        match method, path.split("/")[2:]:
            case "GET", ["users", name]:
                return {"name": name, "tags": [], "password_hash": "x"}
            case "GET", ["connections", "username", _]:
                if not self.open and self.connects_again:
                    self.open = {f"connection-{next(self.numbers)}"}
                return [{"name": each} for each in self.open]
            case "GET", ["connections", name]:
                return {"name": name} if name in self.open else None
            case "DELETE", ["connections", *which]:
                self.deleted.append("/".join(which))
                self.open = set()
                return {}
        return []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def _serve(self) -> None:
        answer = self.server.answer(self.command, self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def users(api: Api) -> Iterator[Users]:
    fields = {"host": "127.0.0.1", "port": api.server_address[1], "ssl": False, "username": "admin", "password": "of-the-admin"}
    with Management(Credential(fields), deadline=Deadline.after(60)) as session:
        yield Users(session)


def test_a_proxy_that_closes_each_connection_is_asked_by_a_new_one(users: Users) -> None:
    assert users.get("app").password


def test_apps_that_connect_again_at_once_are_cut_off_once(api: Api, users: Users) -> None:
    users.end_connections("app", deadline=Deadline.after(60), goes_on=True)
    assert api.deleted == ["username/app"]


def test_a_user_who_may_not_come_back_is_looked_at_until_it_has_no_connection(
    api: Api, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_users, "GONE_WITHIN", 0.0)
    with pytest.raises(RotationError, match="1 connections of app are still open") as failed:
        users.end_connections("app", deadline=Deadline.after(60))
    assert failed.value.kind is Kind.SERVER
    api.connects_again = False
    users.end_connections("app", deadline=Deadline.after(60))


@pytest.mark.parametrize(("app", "admin", "port"), [(True, False, 15672), (False, True, 15671)])
def test_the_administrators_port_follows_from_its_own_ssl(monkeypatch: pytest.MonkeyPatch, app: bool, admin: bool, port: int) -> None:
    reached: list[int] = []

    def connect(credential: Credential, *, port: int, deadline: Deadline) -> socket.socket:
        reached.append(credential.port(port) or port)
        raise ConnectionRefusedError

    monkeypatch.setattr(management, "connect", connect)
    common = {"host": "queue.example", "username": "app", "password": "of-the-app"}
    store = DictionaryStore(
        app=json.dumps(common | {"ssl": app, "port": 5671, "masterarn": "admin"}),
        admin=json.dumps(common | {"ssl": admin, "username": "admin"}),
    )
    context = Context(store, "app", Deadline.after(60))
    current = context.current()
    with (
        pytest.raises(RotationError, match=f"queue.example:{port}/api"),
        SingleUser.from_environment({})._open(None, current, current, context),
    ):
        raise AssertionError("nobody listens")
    assert reached == [port]
