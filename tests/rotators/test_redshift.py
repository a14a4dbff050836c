"""Redshift through the common suite, against a stand-in: a PostgreSQL that Redshift's driver talks to, in Redshift's grammar."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rotators.bench import APP, COMMON, IN_TURN, Bench
from tests.rotators.redshift_bench import StandInBench, stand_in
from tests.rotators.scripted_server import ScriptedServer, asking_for_scram, asking_in_the_clear, offering_tls, refusing_plaintext
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
    with ScriptedServer(asking_in_the_clear(heard)) as other:
        single.edit(APP, port=other.port)
        with pytest.raises(RotationError, match="in the clear") as refused:
            single.rotate()
    assert refused.value.kind is Kind.POLICY
    assert heard
    assert not [data for data in heard if single.current.password.encode() in data]


def test_a_certificate_of_an_unknown_authority_is_not_trusted(single: StandInBench, authority: Authority) -> None:
    context = authority.issue("server", common_name="redshift", hosts=["127.0.0.1"]).server_context()
    with ScriptedServer(offering_tls(context)) as other:
        single.edit(APP, port=other.port, ssl=True)
        with pytest.raises(RotationError, match="certificate is not trusted") as refused:
            single.rotate()
    assert refused.value.kind is Kind.TLS


def test_a_cluster_that_requires_tls_is_told_as_such(single: StandInBench) -> None:
    with ScriptedServer(refusing_plaintext()) as other:
        single.edit(APP, port=other.port)
        with pytest.raises(RotationError, match="no pg_hba") as refused:
            single.rotate()
    assert refused.value.kind is Kind.TLS
    assert "the field ssl" in refused.value.check


def test_a_server_that_asks_for_scram_has_not_refused_the_password(single: StandInBench) -> None:
    old = single.current_version()
    single.rotate()
    with ScriptedServer(asking_for_scram()) as other:
        for version in (old, single.current_version()):
            moved = single.version(version).replaced(port=other.port)
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
