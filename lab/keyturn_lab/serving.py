"""A server of the lab at ports of its own, from its start to its end.

A port that was free may be taken by another program before the server takes it: then it is started once more, at others. The log is in a
folder that is thrown away with the server's data; of a server that fails a copy is left, which the error names.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn_lab.processes import ChildProcess, ProcessFailed, last_lines, wait_until

READY_WITHIN = 60.0  # seconds; on a quiet machine each takes a few at most
STOPPED_WITHIN = 10.0
START_ATTEMPTS = 3
PORT_IS_TAKEN = ("address already in use", "eaddrinuse")  # as the servers' logs have it, but for capital letters


@contextmanager
def serving(
    launch: Callable[[], ChildProcess], *, answers: Callable[[], bool], within: float = READY_WITHIN, grace: float = STOPPED_WITHIN
) -> Iterator[ChildProcess]:
    """The server that `launch` makes, from when it answers until the end of the block. Raises ProcessFailed.

    `launch` chooses free ports and says what is to be started at them, which it leaves to us; it is called again where one of them was
    taken meanwhile. `grace`: seconds that the server has for its end.
    """
    process = _started(launch, answers=answers, within=within, grace=grace)
    try:
        yield process
    finally:
        process.stop(grace=grace)


def failure(reason: str, log: Path) -> ProcessFailed:
    """An error that names a copy of the log, which is left when the log's folder is gone."""
    with tempfile.NamedTemporaryFile(prefix="keyturn-", suffix=".log", delete=False) as kept:
        if log.exists():
            with log.open("rb") as written:
                shutil.copyfileobj(written, kept)
    return ProcessFailed(reason, f"; its log is {kept.name}, which ends with:\n{last_lines(log, 8)}")


def _started(launch: Callable[[], ChildProcess], *, answers: Callable[[], bool], within: float, grace: float) -> ChildProcess:
    for left in reversed(range(START_ATTEMPTS)):
        process = launch()
        before = _size(process.log)
        try:
            process.start()
            wait_until(answers, timeout=within, waiting_for=process)
        except ProcessFailed as failed:
            process.stop(grace=grace)
            if not left or not _lost_its_port(process, written_before=before):
                raise failure(failed.reason, process.log) from None
        except BaseException:
            process.stop(grace=grace)
            raise
        else:
            return process
    raise AssertionError("the last attempt returns or raises")


def _lost_its_port(process: ChildProcess, *, written_before: int) -> bool:
    """Whether this very attempt failed because of that."""
    with process.log.open("rb") as log:
        log.seek(written_before)
        said = log.read().decode(errors="replace").lower()
    return any(words in said for words in PORT_IS_TAKEN)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
