"""What becomes of an account's files, and of logins that a switch of the server refuses."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.host.test_ssh_suite import server
from tests.rotators.bench import APP
from tests.rotators.ssh_bench import KeyBench, key_bench, password_bench

from keyturn_lab.backends.openssh import OpenSsh, new_key
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host

__all__ = ["server"]  # a fixture

BEFORE = "# the team's keys\nssh-rsa AAAAB3NzaC1yc2E= someone@else\n\n"
AFTER = 'from="192.0.2.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 backup'  # and no newline
OPTIONS = 'from="127.0.0.0/8",restrict,command="internal-sftp"'


@pytest.fixture
def bench(server: OpenSsh) -> Iterator[KeyBench]:
    """An account that may use SFTP only, whose file others have lines in too."""
    with key_bench(server, options=OPTIONS, around=(BEFORE, AFTER)) as bench:
        yield bench


def test_the_new_keys_line_has_the_options_of_the_current_one_and_names_its_secret(bench: KeyBench) -> None:
    bench.rotate()
    line = bench.file.splitlines()[-1]
    assert line == f"{OPTIONS} {bench.current.get('public_key')}"
    assert f" keyturn:{APP}#" in line


def test_lines_of_others_stay_as_they_are_through_rotations_retiring_and_restoring(bench: KeyBench) -> None:
    first = bench.current_version()
    for _ in range(3):
        old = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old)
        bench.step(Step.RESTORE, old)
        bench.step(Step.RETIRE, old)
    assert bench.file == f"{BEFORE}{AFTER}\n{OPTIONS} {bench.current.get('public_key')}\n"
    assert not bench.can_login(bench.version(first))


def test_the_key_before_the_last_one_and_what_a_dead_rotation_left_are_gone_after_the_next(bench: KeyBench) -> None:
    first = bench.current_version()
    bench.rotate()
    dead = bench.store.start(APP)
    bench.steps([Step.CREATE, Step.SET, Step.TEST], dead)
    assert bench.can_login(bench.version(dead))
    bench.rotate()
    assert not bench.can_login(bench.version(first))
    assert not bench.can_login(bench.version(dead))
    assert len(bench.file.splitlines()) == len((BEFORE + AFTER).splitlines()) + 2


def test_mode_owner_and_links_are_kept_and_nothing_is_left_beside_the_file(bench: KeyBench) -> None:
    file = bench.server.keys_file(bench.app)
    real = file.parent / "real keys"
    file.rename(real)
    file.symlink_to(real.name)
    real.chmod(0o640)
    before = real.stat()
    bench.rotate()
    after = real.stat()
    assert file.is_symlink()
    assert before.st_ino != after.st_ino, "it was replaced, not written into"
    assert (before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)) == (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode))
    assert sorted(path.name for path in file.parent.iterdir()) == ["authorized_keys", "real keys"]


def test_a_file_that_the_account_may_not_write_is_a_permission_failure(bench: KeyBench) -> None:
    folder = bench.server.keys_file(bench.app).parent
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    error = bench.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert bench.can_login(bench.current)


def test_a_current_key_that_is_not_in_the_file_is_refused(bench: KeyBench) -> None:
    folder = bench.server.keys_file(bench.app).parent
    (folder / "others").write_text("")
    bench.edit(APP, authorized_keys=".ssh/others")
    assert "not in .ssh/others" in str(bench.failure_of_set())
    bench.edit(APP, authorized_keys=".ssh/missing")
    assert "is not there" in str(bench.failure_of_set())


def test_an_unknown_server_is_sent_no_login_at_all(bench: KeyBench) -> None:
    bench.edit(APP, host_key=new_key()[1])
    log = bench.server.log.read_text()
    error = bench.failure_of_set()
    assert error.kind is Kind.TLS
    assert "host key is not the secret's" in str(error)
    assert bench.app not in bench.server.log.read_text().removeprefix(log)
    bench.edit(APP, host_key=None)
    with pytest.raises(RotationError, match="field host_key is missing"):
        bench.step(Step.CREATE, bench.store.start(APP))


def test_an_older_version_is_retired_by_the_host_key_of_the_current_one(bench: KeyBench) -> None:
    old = bench.current_version()
    bench.rotate()
    bench.store.values[APP][old] = json.dumps(json.loads(bench.store.values[APP][old]) | {"host_key": new_key()[1]})
    bench.step(Step.RETIRE, old)
    assert not bench.can_login(bench.version(old))


def test_sessions_go_on_after_retiring(bench: KeyBench) -> None:
    with closing(bench.server.connect(bench.app, private_key=bench.current.text("private_key"))) as held:
        old = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old)
        with held.open_session(timeout=60) as channel:
            assert channel.active


def test_a_switch_that_refuses_all_passwords_proves_nothing() -> None:
    with OpenSsh(settings="PasswordAuthentication no\n") as server, password_bench(server) as bench:
        with pytest.raises(RotationError, match="takes no passwords") as failed:
            bench.rotate()
        assert failed.value.kind is Kind.POLICY


def test_the_least_administrator_may_set_no_other_password(server: OpenSsh) -> None:
    with password_bench(server) as bench, password_bench(server) as other:
        bench.environ["KEYTURN_CHPASSWD"] = bench.environ["KEYTURN_CHPASSWD"].replace(bench.app, other.app)
        with pytest.raises(RotationError, match="may not run the command") as failed:
            bench.rotate()
        assert failed.value.kind is Kind.PERMISSION
        with closing(server.connect(bench.admin, private_key=bench.store.credential("superuser").text("private_key"))) as admin:
            channel = admin.open_session(timeout=60)
            channel.exec_command(f"sudo -n /usr/local/sbin/keyturn-chpasswd {bench.app}")
            channel.sendall(f"{other.app}:changed-by-another\n".encode())
            channel.shutdown_write()
            assert channel.recv_exit_status() == 1
        assert other.can_login(other.current)


def test_a_password_that_pam_refuses_is_a_policy_failure_and_changes_nothing(server: OpenSsh) -> None:
    rules = server.run(["cat", "/etc/pam.d/chpasswd"])
    with password_bench(server) as bench:
        server.write("/etc/pam.d/chpasswd", "password requisite pam_deny.so\n", mode=0o644)
        try:
            with pytest.raises(RotationError, match="password was not taken") as failed:
                bench.rotate()
        finally:
            server.write("/etc/pam.d/chpasswd", rules, mode=0o644)
        assert failed.value.kind is Kind.POLICY
        assert bench.can_login(bench.current)
