"""Redshift through the common suite, against a stand-in: a PostgreSQL that Redshift's driver talks to, in Redshift's grammar."""

import io
import socket
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.rotators.bench import APP, COMMON, IN_TURN, Bench
from tests.rotators.redshift_bench import StandInBench, stand_in
from tests.rotators.suite import EngineSuite

from keyturn_lab.aws.workers import runtime_directory
from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.package import build
from keyturn_rotators.rotation import Step

LOGIN = """
import sys
sys.path[:0] = sys.argv[1:]
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.redshift.connection import BACK_END
BACK_END.verify(Credential.parse(sys.stdin.read(), secret="app"), Deadline.after(60))
"""


@pytest.fixture
def single(redshift: RedshiftStandIn) -> Iterator[StandInBench]:
    with stand_in(redshift) as bench:
        yield bench


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, single: StandInBench) -> Bench:
        return single


class TestAlternatingUsers(EngineSuite):
    capabilities = IN_TURN

    @pytest.fixture
    def bench(self, redshift: RedshiftStandIn) -> Iterator[Bench]:
        with stand_in(redshift, alternating=True) as bench:
            # A statement is several packets; every single one is met by SingleUser, which has the same connection.
            bench.strides = (17, 19)
            yield bench


@pytest.mark.parametrize("character", ["'", "\\", "\0"])
def test_a_password_that_would_be_read_as_sql_is_refused_and_not_shown(single: StandInBench, character: str) -> None:
    token = single.store.start(APP)
    single.step(Step.CREATE, token)
    single.edit(APP, label="AWSPENDING", password=f"Canary1{character}; DROP USER app")
    with pytest.raises(RotationError) as refused:
        single.step(Step.SET, token)
    assert "Canary1" not in str(refused.value)
    assert single.can_login(single.current)


def test_passwords_are_what_redshift_takes(single: StandInBench) -> None:
    single.environ["EXCLUDE_CHARACTERS"] = ""
    for _ in range(20):
        token = single.store.start(APP)
        single.step(Step.CREATE, token)
        password = single.pending.password
        assert not set(password) & set(FORBIDDEN)
        assert any(letter.isupper() for letter in password)
        assert any(letter.islower() for letter in password)
        assert any(letter.isdigit() for letter in password)


def test_no_policy_makes_a_password_that_redshift_would_refuse_at_every_attempt(single: StandInBench) -> None:
    for variable in ("EXCLUDE_NUMBERS", "EXCLUDE_UPPERCASE", "EXCLUDE_LOWERCASE"):
        single.environ[variable] = "true"
    single.environ |= {"REQUIRE_EACH_INCLUDED_TYPE": "false", "PASSWORD_LENGTH": "8"}
    for _ in range(5):
        single.rotate()
    assert single.can_login(single.current)


def test_the_password_is_never_handed_over_in_the_clear_without_tls(single: StandInBench) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_ask_in_the_clear, args=(listener, heard), daemon=True).start()
        single.edit(APP, port=listener.getsockname()[1])
        with pytest.raises(RotationError, match="in the clear") as refused:
            single.rotate()
    assert refused.value.kind is Kind.POLICY
    assert not [data for data in heard if single.current.password.encode() in data]


def test_a_certificate_of_an_unknown_authority_is_not_trusted(single: StandInBench, authority: Authority) -> None:
    context = authority.issue("server", common_name="redshift", hosts=["127.0.0.1"]).server_context()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_offer_tls, args=(listener, context), daemon=True).start()
        single.edit(APP, port=listener.getsockname()[1], ssl=True)
        with pytest.raises(RotationError, match="certificate is not trusted") as refused:
            single.rotate()
    assert refused.value.kind is Kind.TLS


def test_a_cluster_that_requires_tls_is_told_as_such(single: StandInBench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_refuse_plaintext, args=(listener,), daemon=True).start()
        single.edit(APP, port=listener.getsockname()[1])
        with pytest.raises(RotationError, match="no pg_hba") as refused:
            single.rotate()
    assert refused.value.kind is Kind.TLS
    assert "the field ssl" in refused.value.check


def test_a_server_that_asks_for_scram_has_not_refused_the_password(single: StandInBench) -> None:
    old = single.current_version()
    single.rotate()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_ask_for_scram, args=(listener,), daemon=True).start()
        for version in (old, single.current_version()):
            moved = single.version(version).replaced(port=listener.getsockname()[1])
            single.store.values[APP][version] = moved.to_json()
        with pytest.raises(RotationError, match="SCRAM") as refused:
            single.step(Step.RETIRE, old)
    assert refused.value.kind is Kind.SERVER


@pytest.mark.parametrize("step", [Step.RETIRE, Step.RESTORE])
def test_an_older_version_of_another_user_is_left_alone(single: StandInBench, step: Step) -> None:
    old = single.current_version()
    single.rotate()
    other = single.version(old).replaced(username=single.admin, password="Not-the-password-of-the-admin-1")
    single.store.values[APP][old] = other.to_json()
    single.run(f"ALTER USER {single.app} CREATEUSER")
    with pytest.raises(RotationError, match="user is not the current version's"):
        single.step(step, old)
    assert not single.can_login(other)


def test_the_zip_has_all_that_a_login_needs(single: StandInBench, tmp_path: Path) -> None:
    code = tmp_path / "code"
    zipfile.ZipFile(io.BytesIO(build("redshift"))).extractall(code)
    command = [sys.executable, "-I", "-S", "-c", LOGIN, str(code), str(runtime_directory(tmp_path))]
    done = subprocess.run(command, input=single.current.to_json(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _ask_for_scram(listener: socket.socket) -> None:
    """A PostgreSQL that is set up as PostgreSQL's defaults are."""
    methods = b"\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"R" + (len(methods) + 4).to_bytes(4, "big") + methods)
                client.recv(65536)


def _ask_in_the_clear(listener: socket.socket, heard: list[bytes]) -> None:
    """A server that asks everybody for the password as it is."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                heard.append(client.recv(65536))
                client.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
                heard.append(client.recv(65536))


def _refuse_plaintext(listener: socket.socket) -> None:
    fields = (b"SFATAL", b"C28000", b'Mno pg_hba.conf entry for host "::ffff:10.0.0.1", user "app", database "dev", SSL off')
    body = b"".join(field + b"\x00" for field in fields) + b"\x00"
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)
                client.recv(65536)


def _offer_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.recv(65536)
                client.sendall(b"S")
                context.wrap_socket(client, server_side=True).close()
