"""What an account may do, as SHOW GRANTS says it, taken apart into single rights, so that two accounts can be compared.

The server's own words for objects and roles are kept as they are, quotes included: what it has written it also reads.
https://dev.mysql.com/doc/refman/8.4/en/show-grants.html
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

TOKEN = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|[\w$]+|[^\s\w]")
ALL, OPTION, NOTHING, PROXY = "ALL PRIVILEGES", "GRANT OPTION", "USAGE", "PROXY"


class NotUnderstood(Exception):
    """A line of SHOW GRANTS is none of those that are known. It is not shown: MariaDB writes hashes into it."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One right, in the server's words."""

    object: str  # "*.*", "`db`.*", "`db`.`table`", "PROCEDURE `db`.`p`"; nothing for a role
    privilege: str  # "SELECT", "UPDATE (`a`)", "GRANT OPTION"; for a role, its name
    grantable: bool = False  # of what is passed on by itself: roles, proxies, MySQL's dynamic privileges
    withheld: bool = False  # MySQL's partial revoke: an exception from a global right

    def given(self) -> str:
        return f"REVOKE {self._what()} FROM %s@%s" if self.withheld else f"GRANT {self._what()} TO %s@%s{self._option()}"

    def taken(self) -> str:
        return f"GRANT {self._what()} TO %s@%s" if self.withheld else f"REVOKE {self._what()} FROM %s@%s"

    def __str__(self) -> str:
        return f"{'no ' if self.withheld else ''}{self.privilege}{f' ON {self.object}' if self.object else ''}{self._option()}"

    def _what(self) -> str:
        return verbatim(f"{self.privilege} ON {self.object}" if self.object else self.privilege)

    def _option(self) -> str:
        return f" WITH {'GRANT' if self.object else 'ADMIN'} OPTION" if self.grantable else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Everything that an account was granted."""

    rights: frozenset[Right] = frozenset()
    default_roles: frozenset[str] = field(default=frozenset())


def parsed(lines: Iterable[str]) -> Rights:
    """The lines of SHOW GRANTS. Raises NotUnderstood."""
    rights, defaults = set[Right](), set[str]()
    for line in lines:
        words = list(TOKEN.finditer(line))
        match words[0][0].upper() if words else "":
            case "GRANT" | "REVOKE":
                rights.update(_rights(line, words))
            case "SET":  # MariaDB's SET DEFAULT ROLE r FOR u
                defaults.add(_between(line, words[2], _find(words, "FOR")))
            case _:
                raise NotUnderstood
    return Rights(rights=frozenset(rights), default_roles=frozenset(defaults))


def statements(*, wanted: Rights, found: Rights) -> list[str]:
    """What makes an account's rights the wanted ones; the account is the `%s@%s` in them. Default roles are another matter."""
    full = {right.object for right in wanted.rights if right.privilege == ALL}
    extra = {right for right in found.rights - wanted.rights if right.object not in full or right.privilege == OPTION or right.withheld}
    stripped = {right.object for right in extra if right.privilege == ALL}
    missing = {right for right in wanted.rights if right not in found.rights or (right.object in stripped and right.privilege != OPTION)}
    return [
        *(right.taken() for right in sorted(extra, key=_order)),
        *(right.given() for right in sorted(missing, key=_order)),
    ]


def differences(*, wanted: Rights, found: Rights) -> list[str]:
    """What is not the same, each as a phrase."""
    lacks = [f"it lacks {right}" for right in sorted(wanted.rights - found.rights)]
    exceeds = [f"it has {right} besides" for right in sorted(found.rights - wanted.rights)]
    roles = ["its default roles are others"] if wanted.default_roles != found.default_roles else []
    return lacks + exceeds + roles


def verbatim(sql: str) -> str:
    """Text that the driver is not to take for a parameter."""
    return sql.replace("%", "%%")


def _order(right: Right) -> tuple[bool, Right]:
    return right.withheld, right  # an exception needs its rule


def _rights(line: str, words: Sequence[re.Match[str]]) -> Iterator[Right]:
    withheld = words[0][0].upper() == "REVOKE"
    end = _find(words, "FROM" if withheld else "TO")
    on = next((word for word in words if word.start() < end.start() and word[0].upper() == "ON"), None)
    after = [word[0].upper() for word in words if word.start() > end.start()]
    option = any(pair in (("GRANT", "OPTION"), ("ADMIN", "OPTION")) for pair in pairwise(after))
    names = list(_listed(line, words[0], on or end))
    if on is None:
        yield from (Right(object="", privilege=role, grantable=option) for role in names)
        return
    place = _between(line, on, end)
    for name in names:
        by_itself = name == PROXY or ("_" in name and "(" not in name)  # the names of dynamic privileges have underscores, no others
        if name != NOTHING:
            yield Right(object=place, privilege=name, grantable=option and by_itself, withheld=withheld)
        if option and not by_itself:
            yield Right(object=place, privilege=OPTION)


def _listed(line: str, start: re.Match[str], end: re.Match[str]) -> Iterator[str]:
    """The names between two words; one for each column, where a right is for some columns."""
    for name in _split(line[start.end() : end.start()]):
        right, bracket, columns = name.partition(" (")
        if bracket and not name.startswith(("`", "'")):
            yield from (f"{right} ({column})" for column in _split(columns.removesuffix(")")))
        else:
            yield name


def _split(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for word in TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(word[0], 0)
        if word[0] == "," and depth == 0:
            yield text[start : word.start()].strip()
            start = word.end()
    yield text[start:].strip()


def _find(words: Sequence[re.Match[str]], name: str) -> re.Match[str]:
    found = next((word for word in words if word[0].upper() == name), None)
    if found is None:
        raise NotUnderstood
    return found


def _between(line: str, start: re.Match[str], end: re.Match[str]) -> str:
    return line[start.end() : end.start()].strip()
