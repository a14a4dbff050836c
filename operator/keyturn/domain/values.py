"""Values of secrets, in wrappings that show nothing of them.

A value exists in AWS, in the Secret, and for microseconds in the action that carries it from one to the other. Whatever prints, logs,
formats, copies or pickles an object on its way must not carry it elsewhere.
"""

import hmac
from collections.abc import Mapping
from typing import Final, NoReturn, final

_KEPT_BACK: Final = "a secret value is not to be copied or stored"


@final
class SecretValue:
    """What a version of a secret holds: text, or bytes."""

    __slots__ = ("__content",)
    __hash__ = None  # type: ignore[assignment]  # a hash would tell about the value; object's stub does not know of unhashable classes

    def __init__(self, content: str | bytes) -> None:
        self.__content = content

    def reveal(self) -> str | bytes:
        """The value itself, for the one who renders it."""
        return self.__content

    def __eq__(self, other: object) -> bool:
        """In constant time; text and bytes are never equal."""
        if not isinstance(other, SecretValue):
            return NotImplemented
        mine, theirs = self.reveal(), other.reveal()
        return isinstance(mine, str) is isinstance(theirs, str) and hmac.compare_digest(_octets(mine), _octets(theirs))

    def __repr__(self) -> str:
        return "SecretValue(...)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(_KEPT_BACK)


@final
class Content:
    """The data of a Secret as it shall be: wholly ours, key by key."""

    __slots__ = ("__data",)
    __hash__ = None  # type: ignore[assignment]  # as above

    def __init__(self, data: Mapping[str, bytes]) -> None:
        self.__data = dict(data)

    @property
    def data(self) -> dict[str, bytes]:
        """Data key to value; a copy."""
        return dict(self.__data)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self.__data))

    def __eq__(self, other: object) -> bool:
        """In constant time for equal keys."""
        if not isinstance(other, Content):
            return NotImplemented
        theirs = other.data
        same = [hmac.compare_digest(value, theirs[key]) for key, value in self.__data.items() if key in theirs]
        return self.keys == other.keys and all(same)

    def __repr__(self) -> str:
        return f"Content(keys={list(self.keys)})"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(_KEPT_BACK)


def _octets(content: str | bytes) -> bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
