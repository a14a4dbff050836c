"""What the fake of Oracle (oracle_fake.py) keeps of a user, and how it refuses: in the driver's own error classes."""

from dataclasses import dataclass, field

import oracledb
from oracledb.errors import _Error

LEAST = frozenset(
    {
        "ALTER USER",
        "CREATE USER",
        "SELECT_CATALOG_ROLE",
        "GRANT ANY PRIVILEGE",
        "GRANT ANY ROLE",
        "GRANT ANY OBJECT PRIVILEGE",
        "ALTER SYSTEM",
    }
    | {"CREATE ANY SYNONYM", "DROP ANY SYNONYM", "EXECUTE ON SYS.DBMS_LOCK"}
)


def failed(code: int, text: str) -> oracledb.DatabaseError:
    """As oracledb makes it of the server's message."""
    told = _Error(f"ORA-{code:05}: {text}", code=code)
    made: oracledb.DatabaseError = told.exc_type(told)
    return made


def down(cause: BaseException) -> oracledb.OperationalError:
    """As oracledb says that it could not connect."""
    made = oracledb.OperationalError(_Error("DPY-6005: cannot connect to database"))
    made.__cause__ = cause
    return made


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A user; `first` is the password that a rollover period keeps alive."""

    password: str
    first: str | None = None
    rollover: str | None = "0"  # PASSWORD_ROLLOVER_TIME of its profile; None: a server that knows none
    locked: bool = False
    settings: tuple[str, str, str] = ("USERS", "TEMP", "DEFAULT")
    may: frozenset[str] = frozenset()
    judged: bool = False  # its profile has a verify function
    history: list[str] | None = None
    privileges: set[tuple[str, str]] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    default_roles: set[str] = field(default_factory=set)
    schemas: set[tuple[str, str, str]] = field(default_factory=set)
    objects: set[tuple[str, str, str, str, str, str]] = field(default_factory=set)
    columns: set[tuple[str, str, str, str, str]] = field(default_factory=set)
    quotas: dict[str, int] = field(default_factory=dict)
    synonyms: dict[str, tuple[str | None, str, str | None]] = field(default_factory=dict)
    owns: list[tuple[str, int]] = field(default_factory=list)

    def takes(self, password: str) -> bool:
        return password in (self.password, self.first)

    @property
    def status(self) -> str:
        return "LOCKED" if self.locked else "OPEN & IN ROLLOVER" if self.first is not None else "OPEN"

    def change(self, password: str) -> None:
        """ALTER USER ... IDENTIFIED BY: in a rollover period, which begins with the first change, the first password stays."""
        if self.history is not None and password in [*self.history, self.password]:
            raise failed(28007, "the password cannot be reused")
        if self.history is not None:
            self.history.append(self.password)
        if self.rollover not in (None, "0") and self.first is None:
            self.first = self.password
        self.password = password
