"""What the cases of the common suite share: which of them an engine gets, and how they look at it."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, TypeVar

import pytest
from tests.rotators.bench import APP, Bench, Capability

from keyturn_rotators.versions import CURRENT, PENDING

Case = TypeVar("Case", bound=Callable[..., Any])


def needs(*capabilities: Capability) -> Callable[[Case], Case]:
    """The case is for engines that declare all of these."""
    return _marked("needs", frozenset(capabilities))


def lacks(*capabilities: Capability) -> Callable[[Case], Case]:
    """The case is for engines that declare none of these."""
    return _marked("lacks", frozenset(capabilities))


def _marked(name: str, capabilities: frozenset[Capability]) -> Callable[[Case], Case]:
    def mark(case: Case) -> Case:
        setattr(case, name, capabilities)
        return case

    return mark


class Cases:
    """Some cases: its subclasses that declare capabilities keep those that are for them."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    strategy: ClassVar[str] = ""  # for the fixture `bench` of several classes of one kind of back end

    def __init_subclass__(cls, *, complete: bool = True, only: Collection[str] | None = None) -> None:
        """`complete=False`: a part of the suite, which keeps all of its cases for its subclasses.

        `only`: the cases of a back end that another class meets with all of them, and that differs in these.
        """
        if not complete:
            return
        if unknown := [name for name in only or () if not hasattr(cls, name)]:
            raise LookupError(f"the suite has no {', '.join(unknown)}")
        for name in [name for name in dir(cls) if name.startswith("test_")]:
            # A class between the suite and this one may have declared less.
            case = next(base.__dict__[name] for base in cls.__mro__ if base.__dict__.get(name) is not None)
            fits = getattr(case, "needs", frozenset()) <= cls.capabilities and not getattr(case, "lacks", frozenset()) & cls.capabilities
            setattr(cls, name, case if fits and (only is None or name in only) else None)

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        raise NotImplementedError

    # what the cases share

    @property
    def by_superuser(self) -> bool:
        return Capability.SUPERUSER in self.capabilities

    def _somebody_logs_in(self, bench: Bench) -> bool:
        """The current credential; where there is one at a time, the pending one may have taken its place."""
        if bench.can_login(bench.current):
            return True
        return (
            Capability.OVERLAP not in self.capabilities and bench.store.holder(APP, PENDING) is not None and bench.can_login(bench.pending)
        )

    def _move_to(self, bench: Bench, port: int) -> None:
        for secret in bench.store.values:
            bench.edit(secret, label=CURRENT, port=port)
