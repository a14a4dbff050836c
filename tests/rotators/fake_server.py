"""What the fakes of servers that cannot be had here have in common.

Each has a port of its own, so that a host that is down is really one, and knows the statements of its engine and no others.
"""

import re
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from tests.unit.rotators.stores import Life

Rows = list[tuple[Any, ...]]
Statement = TypeVar("Statement")


class FakeServer:
    """`with Fake(life) as server`: a listener at a free port. The fake driver finds the server by its port."""

    at: ClassVar[dict[int, "FakeServer"]] = {}

    def __init__(self, life: Life | None = None) -> None:
        self.life = life or Life()
        self.statements: list[str] = []
        self.locks: dict[Any, object] = {}  # by name or number: the connection that holds it
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

    def known(self, sql: str, params: Sequence[object], *, among: Mapping[str, Statement], places: int) -> tuple[Statement, re.Match[str]]:
        """The statement's meaning, `among` those that there are by their patterns. It has so many `places` for parameters."""
        self.statements.append(sql)
        for pattern, statement in among.items():
            if match := re.fullmatch(pattern, sql):
                assert places == len(params), "as many parameters as there are places for them"
                return statement, match
        raise AssertionError(f"the fake does not know the statement {sql}")

    def unlock(self, connection: object) -> None:
        """A connection that ends leaves its locks."""
        for name in [name for name, holder in self.locks.items() if holder is connection]:
            del self.locks[name]


class FakeRows:
    """What a fake cursor keeps of its statement."""

    description: object = None
    rows: Rows | None = None

    def keep(self, rows: Rows | None) -> None:
        """None: the statement has no rows, which is not the same as none."""
        self.rows = rows
        self.description = None if rows is None else ("columns",)

    def kept(self) -> Rows:
        """As a driver, it has rows of a query only."""
        assert self.rows is not None, "the statement has no rows"
        return self.rows


class InABlock:
    """For drivers whose cursors are used by `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
