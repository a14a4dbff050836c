"""What a user may do, as statements that give it and take it, for back ends whose grants are statements.

Two users may do the same when the same statements, with the name left out, describe both. What is granted in a way that an engine does not
know is described too, so that it is told and never passed over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place

SHOWN = 5  # rights or statements in a message


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One right. A name between the halves of `give` or `take` makes a statement; `order`: what must be given first."""

    order: int
    give: tuple[str, str]
    take: tuple[str, str]
    known: bool = True  # otherwise its statements are for a person, who knows what they stand for


@dataclass(frozen=True, slots=True)
class Change:
    """A statement; one that is not `known` is not run."""

    statement: str
    known: bool = True


def of_all_grantors(rights: Iterable[Right]) -> list[Right]:
    """Each privilege once, as it counts: the catalogues list it for each who has granted it, and one superuser can grant it once only.

    With the option to pass it on, where one of them gave it so.
    """
    found: dict[str, Right] = {}
    for right in rights:
        best = found.setdefault(right.give[0], right)
        if len(right.give[1]) > len(best.give[1]):
            found[right.give[0]] = right
    return list(found.values())


def changes(*, wanted: frozenset[Right], found: frozenset[Right], name: str) -> list[Change]:
    """What makes the rights of `name`, as the back end quotes it, those that are wanted."""
    taken = [Change(name.join(right.take), right.known) for right in sorted(found - wanted)]
    return taken + [Change(name.join(right.give), right.known) for right in sorted(wanted - found)]


def shown(several: Sequence[str]) -> str:
    """The first of them, and how many there are besides."""
    more = f" and {len(several) - SHOWN} more" if len(several) > SHOWN else ""
    return "; ".join(several[:SHOWN]) + more


def unequal(place: Place, *, idle: str, current: str, statements: Sequence[str]) -> RotationError:
    """That `idle` may not do the same as `current`, and the statements that would make it so."""
    check = f"what the superuser was not allowed to do, which somebody else may do by hand: {shown(statements)}"
    return place.error(Kind.PERMISSION, f"{idle} may not do the same as {current}", check)
