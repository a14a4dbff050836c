"""A process sees its volumes at their mount paths, in each mode that this machine allows, and the machine itself stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn_lab.node.mounts import Command, Mode, Mount, Mounter, choose, outermost, rewrite

NOBODY = 65_534


def modes_of_this_machine() -> list[Mode]:
    """Those that need a mount namespace, as far as this machine and user allow them."""
    with tempfile.TemporaryDirectory() as scratch:
        best = choose(Path(scratch), ())
    return {Mode.ROOT: [Mode.ROOT, Mode.USER_NAMESPACE], Mode.USER_NAMESPACE: [Mode.USER_NAMESPACE], Mode.REWRITE: []}[best]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A node's directory below /tmp, whatever pytest's own is."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=modes_of_this_machine())
def mounter(request: pytest.FixtureRequest, directory: Path) -> Mounter:
    """A mounter of a mode that needs a mount namespace."""
    return Mounter(mode=request.param, directory=directory, keep=(str(directory),))


def volume(directory: Path, name: str, **files: str) -> Path:
    path = directory / "volumes" / name
    path.mkdir(parents=True)
    for file, content in files.items():
        (path / file).write_text(content)
    return path


def wrapped(mounter: Mounter, script: str, *mounts: Mount, workdir: str | None = None) -> Command:
    scratch = mounter.directory / "scratch"
    scratch.mkdir(exist_ok=True)
    command = Command(argv=["sh", "-c", script], environment=dict(os.environ), cwd=mounter.directory)
    return mounter.wrap(command, mounts, scratch=scratch, workdir=workdir)


def output(mounter: Mounter, script: str, *mounts: Mount, workdir: str | None = None) -> str:
    command = wrapped(mounter, script, *mounts, workdir=workdir)
    done = subprocess.run(command.argv, env=command.environment, cwd=command.cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mount(target: str, source: Path, *, read_only: bool = False) -> Mount:
    return Mount(target=target, source=source, read_only=read_only)


@pytest.mark.parametrize(
    "target", ["/keyturn-test/deep", "/etc/keyturn-test/deep", "/var/run/keyturn-test", "/mnt", "/tmp/keyturn-test/deep"]
)
def test_a_volume_is_seen_at_its_path_whether_or_not_the_path_is_there(mounter: Mounter, target: str) -> None:
    source = volume(mounter.directory, "one", file="content")
    existed = os.path.exists(target)
    assert output(mounter, f"cat {target}/file; ls -d /etc/passwd /proc/self", mount(target, source)) == "content/etc/passwd\n/proc/self\n"
    assert os.path.exists(target) == existed


def test_a_volume_over_the_parent_of_the_nodes_own_directory_hides_all_but_that(mounter: Mounter) -> None:
    empty, secret = volume(mounter.directory, "empty"), volume(mounter.directory, "secret", word="x")
    with tempfile.NamedTemporaryFile(dir="/tmp") as stranger:
        script = f"ls {stranger.name} 2>/dev/null; ls {mounter.directory}; touch /tmp/new; cat /tmp/word/word"
        seen = output(mounter, script, mount("/tmp", empty), mount("/tmp/word", secret))
    assert seen == "scratch\nvolumes\nx"
    assert (empty / "new").is_file()
    assert not Path("/tmp/new").exists()


def test_a_volume_below_another_is_seen_through_it(mounter: Mounter) -> None:
    outer, inner = volume(mounter.directory, "outer", file="outer"), volume(mounter.directory, "inner", file="inner")
    script = "cat /keyturn-test/file /keyturn-test/a/b/file"
    assert output(mounter, script, mount("/keyturn-test/a/b", inner), mount("/keyturn-test", outer)) == "outerinner"


def test_a_single_file_is_mounted_beside_those_that_are_there(mounter: Mounter) -> None:
    source = volume(mounter.directory, "one", file="content")
    script = "cat /etc/keyturn-test.conf; ls /etc/passwd"
    assert output(mounter, script, mount("/etc/keyturn-test.conf", source / "file")) == "content/etc/passwd\n"


def test_a_read_only_volume_refuses_writes(mounter: Mounter) -> None:
    source = volume(mounter.directory, "one", file="content")
    script = "touch /keyturn-test/new 2>/dev/null || echo refused"
    assert output(mounter, script, mount("/keyturn-test", source, read_only=True)) == "refused\n"


def test_the_working_directory_may_be_a_volume(mounter: Mounter) -> None:
    source = volume(mounter.directory, "one", file="content")
    assert output(mounter, "cat file", mount("/keyturn-test", source), workdir="/keyturn-test") == "content"


def test_a_mount_that_fails_never_reaches_the_program(mounter: Mounter) -> None:
    command = wrapped(mounter, "echo reached", mount("/keyturn-test", mounter.directory / "missing"))
    done = subprocess.run(command.argv, env=command.environment, cwd=command.cwd, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "reached" not in done.stdout
    assert command.entered is not None
    assert not command.entered.exists()


@pytest.mark.parametrize("mode", [mode for mode in modes_of_this_machine() if mode is Mode.USER_NAMESPACE])
def test_an_ordinary_user_gets_the_mounts_and_no_capabilities(mode: Mode, directory: Path) -> None:
    source = volume(directory, "one", file="content")
    mounter = Mounter(mode=mode, directory=directory, keep=())
    command = wrapped(mounter, "cat /keyturn-test/file; id -u; grep CapEff /proc/self/status", mount("/keyturn-test", source))
    user, become = os.geteuid(), list[str]()
    if user == 0:
        user, become = NOBODY, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    done = subprocess.run([*become, *command.argv], cwd=command.cwd, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [f"content{user}", "CapEff:", "0" * 16], done.stderr


def test_without_namespaces_paths_are_replaced_as_whole_words(directory: Path) -> None:
    mounts = [mount("/etc/db", directory / "a"), mount("/etc/db/certs", directory / "b")]
    text = "cat /etc/db/user /etc/db /etc/db/certs/ca.pem; url=file:/etc/db?x x/etc/db /etc/dbx"
    expected = f"cat {directory}/a/user {directory}/a {directory}/b/ca.pem; url=file:{directory}/a?x x/etc/db /etc/dbx"
    assert rewrite(text, mounts) == expected


def test_of_directories_in_each_other_the_outermost_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    wanted = [str(tmp_path / name) for name in ("a/b", "a", "ab", "missing")]
    assert outermost(wanted) == (str(tmp_path / "a"), str(tmp_path / "ab"))
