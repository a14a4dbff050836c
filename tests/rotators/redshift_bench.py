"""A user and the superuser of docs/rotators/redshift.md at the stand-in for Redshift; their names are unique, so that tests share it."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection
from tests.rotators.bench import SUPERUSER, Bench, Held
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN, LONGEST

PAGE = Path(__file__).parents[2] / "docs/rotators/redshift.md"
PASSWORD = "First-password-of-the-app-1"
ADMIN_PASSWORD = "Password-of-the-admin-1"
REFUSED = ("28P01", "28000")  # SQLSTATE: wrong password, may not log in


class Session(Held):
    """A connection of the application, not by way of the proxies."""

    def __init__(self, redshift: RedshiftStandIn, credential: Credential) -> None:
        self._connection = Connection(
            credential.username,
            password=credential.password,
            host=redshift.host,
            port=redshift.server_port,
            database=credential.database("?"),
            ssl_context=False,
        )

    def is_alive(self) -> bool:
        try:
            self._connection.run("SELECT 1")
        except (DatabaseError, InterfaceError):
            return False
        return True

    def close(self) -> None:
        try:
            self._connection.close()
        except InterfaceError:
            return  # it was ended


class StandInBench(Bench):
    longest_password = LONGEST
    forbidden = FORBIDDEN

    def __init__(self, redshift: RedshiftStandIn, life: Life, *, port: int, alternating: bool, database: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server, self.database, self.app, self.admin = redshift, database, f"app_{mark}", f"admin_{mark}"
        redshift.create_database(database)
        self.run(f"CREATE USER {self.app} PASSWORD '{PASSWORD}'")
        for statement in superuser_statements():
            self.run(statement.replace("keyturn_admin", self.admin).replace("...", ADMIN_PASSWORD))
        value = redshift.secret(self.app, PASSWORD, dbname=self.database, port=port)
        superuser = redshift.secret(self.admin, ADMIN_PASSWORD, port=port)
        super().__init__(life, value | ({"masterarn": SUPERUSER} if alternating else {}), superuser=superuser)

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    def run(self, sql: str, *params: object, user: str | None = None, password: str | None = None) -> list[list[object]]:
        """One statement of Redshift's, in the secret's database; by default as a superuser who is not the rotator's."""
        return self.server.execute(sql, *params, database=self.database, user=user, password=password)

    def can_login(self, credential: Credential) -> bool:
        try:
            self.run("SELECT 1", user=credential.username, password=credential.password)
        except DatabaseError as refused:
            if refused.args[0]["C"] not in REFUSED:
                raise
            return False
        return True

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential)


def superuser_statements() -> list[str]:
    """The statements of the page that make the superuser."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text().partition("## The superuser")[2].partition("\n## ")[0], re.DOTALL)
    return [line for line in "".join(blocks[:1]).splitlines() if line]


@contextmanager
def stand_in(redshift: RedshiftStandIn, *, alternating: bool = False, database: str = "orders") -> Iterator[StandInBench]:
    """A database of its own, for tests of what is in it, takes a second."""
    life = Life()
    with MortalProxy(redshift.host, redshift.port, life=life) as proxy:
        yield StandInBench(redshift, life, port=proxy.port, alternating=alternating, database=database)
