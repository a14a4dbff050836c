"""Starting a server of the lab: another port where one is lost, no process left, and a log that outlives the server's folder."""

import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess, ProcessFailed
from keyturn_lab.serving import START_ATTEMPTS, serving


class Server:
    """Python's web server, at the ports that it is given in turn."""

    def __init__(self, folder: Path, ports: list[int], *, program: tuple[str, ...] = ("-m", "http.server")) -> None:
        self.folder, self.ports, self.program = folder, ports, program
        self.launched: list[ChildProcess] = []

    @property
    def port(self) -> int:
        return self.ports[len(self.launched) - 1]

    def launch(self) -> ChildProcess:
        port = str(self.ports[len(self.launched)])
        command = [sys.executable, *self.program, "--bind", "127.0.0.1", port]
        self.launched.append(ChildProcess("server", command, log=self.folder / "log", cwd=self.folder))
        return self.launched[-1]

    def answers(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("HEAD", "/")
            return connection.getresponse().status == 200
        return False


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program has, and at which nobody answers."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def silent() -> tuple[str, ...]:
    """A program that goes on and serves nothing."""
    return ("-c", "import time; print('thinking', flush=True); time.sleep(600)")


def kept_log(failed: ProcessFailed) -> Path:
    return Path(str(failed).split("its log is ")[1].split(",")[0])


def test_a_server_answers_within_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    server = Server(tmp_path, [free_port()])
    with serving(server.launch, answers=server.answers) as process:
        assert process.running
        assert server.answers()
    assert not process.running


def test_a_server_whose_port_was_taken_meanwhile_is_started_at_another(tmp_path: Path, taken: int) -> None:
    server = Server(tmp_path, [taken, taken, free_port()])
    with serving(server.launch, answers=lambda: server.port != taken and server.answers()) as process:
        assert process is server.launched[-1]
        assert len(server.launched) == START_ATTEMPTS
    assert not any(one.running for one in server.launched)


def test_a_server_that_finds_no_port_is_given_up_after_some_attempts(tmp_path: Path, taken: int) -> None:
    server = Server(tmp_path, [taken] * (START_ATTEMPTS + 1))
    with pytest.raises(ProcessFailed, match="Address already in use") as failed, serving(server.launch, answers=lambda: False):
        pytest.fail("it started")
    assert len(server.launched) == START_ATTEMPTS
    kept_log(failed.value).unlink()


def test_an_earlier_attempts_lost_port_does_not_excuse_another_failure(tmp_path: Path, taken: int) -> None:
    server = Server(tmp_path, [taken, 0, 0])

    def launch() -> ChildProcess:
        if server.launched:
            server.program = ("-c", "raise SystemExit('it broke')")
        return server.launch()

    with pytest.raises(ProcessFailed, match="it broke") as failed, serving(launch, answers=lambda: False):
        pytest.fail("it started")
    assert len(server.launched) == 2
    kept_log(failed.value).unlink()


def test_a_server_that_ends_is_not_started_again_and_its_log_is_kept(tmp_path: Path) -> None:
    server = Server(tmp_path, [0], program=("-c", "raise SystemExit('it broke')"))
    said = r"server ended with exit code 1; its log is [\s\S]*it broke"
    with pytest.raises(ProcessFailed, match=said) as failed, serving(server.launch, answers=lambda: False):
        pytest.fail("it started")
    kept = kept_log(failed.value)
    assert not kept.is_relative_to(tmp_path)
    assert "it broke" in kept.read_text()
    kept.unlink()


def test_a_server_that_does_not_get_ready_is_ended(tmp_path: Path, silent: tuple[str, ...]) -> None:
    server = Server(tmp_path, [0], program=silent)
    with pytest.raises(ProcessFailed, match="was not ready after") as failed, serving(server.launch, answers=lambda: False, within=0.2):
        pytest.fail("it started")
    assert not server.launched[0].running
    kept_log(failed.value).unlink()


def test_a_server_is_ended_when_its_start_is_interrupted(tmp_path: Path, silent: tuple[str, ...]) -> None:
    server = Server(tmp_path, [0], program=silent)

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), serving(server.launch, answers=interrupted):
        pytest.fail("it started")
    assert not server.launched[0].running
