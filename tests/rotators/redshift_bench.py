"""A user and the superuser of docs/rotators/redshift.md at the stand-in for Redshift; their names are unique, so that tests share it."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rotators.bench import SUPERUSER, Bench, Held
from tests.rotators.postgres_sessions import Session, is_let_in
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN, LONGEST

PAGE = Path(__file__).parents[2] / "docs/rotators/redshift.md"
PASSWORD = "First-password-of-the-app-1"
ADMIN_PASSWORD = "Password-of-the-admin-1"


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
        return is_let_in(lambda: self.run("SELECT 1", user=credential.username, password=credential.password))

    def hold(self, credential: Credential) -> Held:
        return Session(self.server.host, self.server.server_port, credential)


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
