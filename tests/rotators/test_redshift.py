"""Redshift's SingleUser through the common suite, against a stand-in: PostgreSQL behind a proxy that Redshift's driver talks to.

Logins, ALTER USER and refusals are real there. What only Redshift has is in test_redshift_alternating.py, against a fake.
"""

import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pg8000.exceptions import DatabaseError
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.proxies import MortalProxy
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_lab.backends import Postgres
from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN, LONGEST
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

PASSWORD = "First-password-of-the-app-1"
REFUSED = ("28P01", "28000")  # SQLSTATE: wrong password, may not log in


class StandInBench(Bench):
    longest_password = LONGEST
    forbidden = FORBIDDEN

    def __init__(self, pg: Postgres, redshift: RedshiftStandIn, life: Life, *, port: int) -> None:
        mark = uuid.uuid4().hex[:8]
        self._pg, database, app = pg, f"bench_{mark}", f"app_{mark}"
        pg.create_app_user(app, PASSWORD, database=database)
        super().__init__(life, redshift.secret(app, PASSWORD, dbname=database, port=port))

    def can_login(self, credential: Credential) -> bool:
        try:
            self._pg.execute("SELECT 1", user=credential.username, password=credential.password, database=credential.database("?"))
        except DatabaseError as refused:
            if refused.args[0]["C"] not in REFUSED:
                raise
            return False
        return True


@pytest.fixture(scope="module")
def redshift(pg: Postgres) -> Iterator[RedshiftStandIn]:
    with RedshiftStandIn(pg) as running:
        yield running


@pytest.fixture
def stand_in(pg: Postgres, redshift: RedshiftStandIn) -> Iterator[StandInBench]:
    life = Life()
    with MortalProxy(redshift.host, redshift.port, life=life) as proxy:
        yield StandInBench(pg, redshift, life, port=proxy.port)


class TestSingleUser(EngineSuite):
    capabilities = frozenset({Capability.HOST, Capability.TLS, Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})

    @pytest.fixture
    def bench(self, stand_in: StandInBench) -> Bench:
        return stand_in


@pytest.mark.parametrize("character", ["'", "\\", "\0"])
def test_a_password_that_would_be_read_as_sql_is_refused_and_not_shown(stand_in: StandInBench, character: str) -> None:
    token = stand_in.store.start(APP)
    stand_in.step(Step.CREATE, token)
    stand_in.edit(APP, label="AWSPENDING", password=f"Canary1{character}; DROP USER app")
    with pytest.raises(RotationError) as refused:
        stand_in.step(Step.SET, token)
    assert "Canary1" not in str(refused.value)
    assert stand_in.can_login(stand_in.current)


def test_passwords_are_what_redshift_takes(stand_in: StandInBench) -> None:
    stand_in.environ["EXCLUDE_CHARACTERS"] = ""
    for _ in range(20):
        token = stand_in.store.start(APP)
        stand_in.step(Step.CREATE, token)
        password = stand_in.pending.password
        assert not set(password) & set(FORBIDDEN)
        assert any(letter.isupper() for letter in password)
        assert any(letter.islower() for letter in password)
        assert any(letter.isdigit() for letter in password)


def test_the_password_is_never_handed_over_in_the_clear_without_tls(stand_in: StandInBench) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_ask_in_the_clear, args=(listener, heard), daemon=True).start()
        stand_in.edit(APP, port=listener.getsockname()[1])
        with pytest.raises(RotationError, match="in the clear") as refused:
            stand_in.rotate()
    assert refused.value.kind is Kind.POLICY
    assert not [data for data in heard if stand_in.current.password.encode() in data]


def test_a_certificate_of_an_unknown_authority_is_not_trusted(stand_in: StandInBench, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    pair = authority.issue("server", common_name="redshift", hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_offer_tls, args=(listener, context), daemon=True).start()
        stand_in.edit(APP, port=listener.getsockname()[1], ssl=True)
        with pytest.raises(RotationError, match="certificate is not trusted") as refused:
            stand_in.rotate()
    assert refused.value.kind is Kind.TLS


def _ask_in_the_clear(listener: socket.socket, heard: list[bytes]) -> None:
    """A server that asks everybody for the password as it is."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                heard.append(client.recv(65536))
                client.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
                heard.append(client.recv(65536))


def _offer_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"S")
                context.wrap_socket(client, server_side=True).close()
