"""What the fakes of servers that cannot be had here have in common: a port of their own, so that a host that is down is really one."""

import socket
from types import TracebackType
from typing import ClassVar, Self

from tests.unit.rotators.stores import Life


class FakeServer:
    """`with Fake(life) as server`: a listener at a free port. The fake driver finds the server by its port."""

    at: ClassVar[dict[int, "FakeServer"]] = {}

    def __init__(self, life: Life | None = None) -> None:
        self.life = life or Life()
        self.statements: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self.at[self.port] = self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self.at[self.port]
        self._listener.close()

    def accept(self) -> None:
        """Take a connection off the list of those that wait; nothing is ever said over it."""
        self._listener.accept()[0].close()
