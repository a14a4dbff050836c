"""What every part of the lab is: there for as long as a `with` block lasts, and gone without a trace however the block ends.

A part starts in `_start`, and puts on `_cleanup` how each thing that it makes is undone, as soon as it is there: what a failed start leaves
is undone like the rest. A server is a part with a program at free ports.
"""

import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from keyturn_lab.processes import ChildProcess
from keyturn_lab.serving import READY_WITHIN, STOPPED_WITHIN, serving


class Part(ABC):
    """`with ThePart() as part:`."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # a Ctrl-C among them
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    @abstractmethod
    def _start(self) -> None:
        """Return when it can be worked with."""

    def _folder(self, name: str, *, open_to_all: bool = False) -> Path:
        """A folder that goes with the part. `open_to_all`: others may go into it, such as an unprivileged user who runs the server."""
        folder = Path(tempfile.mkdtemp(prefix=f"keyturn-{name}-"))
        self._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        if open_to_all:
            folder.chmod(0o755)
        return folder


class Server(Part):
    """A program at ports of our loopback, chosen free, with a root whose password nobody else knows."""

    host: ClassVar[str] = "127.0.0.1"
    ready_within: ClassVar[float] = READY_WITHIN
    stopped_within: ClassVar[float] = STOPPED_WITHIN  # seconds that it has for its end

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self._password = secrets.token_urlsafe(24)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}:{self.port})"

    @property
    def superuser_password(self) -> str:
        return self._password

    def _start(self) -> None:
        self._prepare()
        self._serve()

    def _prepare(self) -> None:
        """What the first launch needs."""

    def _serve(self, until: ExitStack | None = None) -> None:
        """Return when it answers; it is ended with the part, or with `until`."""
        running = serving(self._launch, answers=self._answers, within=self.ready_within, grace=self.stopped_within)
        (until or self._cleanup).enter_context(running)

    @abstractmethod
    def _launch(self) -> ChildProcess:
        """The program at newly chosen ports, which is not started yet."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether somebody can log in."""
