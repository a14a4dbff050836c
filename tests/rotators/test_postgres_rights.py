"""Fifty changes of users: what both may do stays the same, and nothing heaps up in the server's catalogue."""

import json
from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP
from tests.rotators.test_postgres import PostgresBench, made

from keyturn_lab.backends import Postgres
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.postgres.comparison import differences, role_differences
from keyturn_rotators.engines.postgres.connection import Session
from keyturn_rotators.engines.postgres.roles import find_pair
from keyturn_rotators.rotation import Step

ALTERNATIONS = 50
# Each is granted to whichever user is in use, in turn, and taken from both some alternations later.
GRANTS = (
    "SELECT ON TABLE dba.t",
    "INSERT (a) ON TABLE dba.t",
    "USAGE ON SEQUENCE dba.s",
    "CREATE ON SCHEMA dba",
    "EXECUTE ON FUNCTION dba.f(int)",
    "USAGE ON TYPE dba.d",
    "TEMPORARY ON DATABASE {database}",
)
CATALOGUE = """
WITH pair AS (SELECT oid FROM pg_roles WHERE rolname LIKE $1)
SELECT (SELECT count(*) FROM pg_auth_members JOIN pair ON pair.oid = member),
       (SELECT count(*) FROM pg_db_role_setting JOIN pair ON pair.oid = setrole),
       (SELECT count(*) FROM pg_default_acl d, aclexplode(d.defaclacl) JOIN pair ON pair.oid = grantee),
       (SELECT count(*) FROM pg_shdepend JOIN pair ON pair.oid = refobjid)
"""


class Database:
    """The bench's database, with a schema of a team whose admin is the rotation's too."""

    def __init__(self, pg: Postgres, bench: PostgresBench) -> None:
        self._pg, self._bench = pg, bench
        self.name, self.app = bench.current.database("?"), bench.current.username
        self.owner, admin = f"dba_{self.name}", bench.store.credential("superuser").username
        self.run(f"CREATE ROLE {self.owner}; GRANT {self.owner} TO {admin}; ALTER DATABASE {self.name} OWNER TO {self.owner}")
        self.run(f"REVOKE TEMPORARY ON DATABASE {self.name} FROM PUBLIC; CREATE SCHEMA dba AUTHORIZATION {self.owner}")
        self.run(f"GRANT USAGE ON SCHEMA dba TO {self.app}")
        self.run(
            f"SET ROLE {self.owner}; CREATE TABLE dba.t (a int); CREATE SEQUENCE dba.s; CREATE DOMAIN dba.d AS int;"
            " CREATE FUNCTION dba.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; REVOKE ALL ON FUNCTION dba.f(int) FROM PUBLIC;"
            " REVOKE ALL ON TYPE dba.d FROM PUBLIC"
        )
        self.run(f"ALTER ROLE {self.app} CONNECTION LIMIT 17; ALTER ROLE {self.app} SET statement_timeout = '41s'")
        self.run(f"SET ROLE {self.owner}; ALTER DEFAULT PRIVILEGES IN SCHEMA dba GRANT SELECT ON TABLES TO {self.app}")

    def run(self, sql: str, *params: object) -> list[list[object]]:
        """As the server's superuser."""
        return self._pg.execute(sql, *params, database=self.name)

    def use(self, sql: str, credential: Credential) -> list[list[object]]:
        return self._pg.execute(sql, user=credential.username, password=credential.password, database=self.name)

    def catalogue(self) -> list[object]:
        return self.run(CATALOGUE, f"{self.app}%")[0]

    def differences(self) -> list[str]:
        """What the two users may not do alike, as the server itself says."""
        superuser = Credential(
            self._pg.secret(self._pg.superuser, self._pg.superuser_password, dbname=self.name), secret="the server's own superuser"
        )
        current = self._bench.current.username
        other = {self.app: f"{self.app}_clone"}.get(current, self.app)
        with Session(superuser, deadline=Deadline.after(60)) as session:
            pair = find_pair(session, current=current, pending=other, base=self.app)
            assert pair is not None
            return differences(session, pair) + role_differences(session, pair)


@pytest.fixture
def bench(pg: Postgres) -> Iterator[PostgresBench]:
    yield from made(pg, "AlternatingUsers")


@pytest.mark.timeout(1800)
def test_rights_attributes_and_owners_stay_equal_over_fifty_alternations(pg: Postgres, bench: PostgresBench) -> None:
    database = Database(pg, bench)
    catalogue: list[list[object]] = []
    for number in range(ALTERNATIONS):
        before = bench.current
        granted = GRANTS[number % len(GRANTS)].format(database=database.name)
        database.run(f"SET ROLE {database.owner}; GRANT {granted} TO {before.username}")
        old_version = bench.current_version()
        bench.rotate()
        after = bench.current
        assert after.username != before.username
        database.use(f"CREATE TABLE {database.app}.t{number} (a int)", after)
        database.use(f"ALTER TABLE {database.app}.t{number} ADD COLUMN b int; DROP TABLE {database.app}.t{number}", before)
        assert database.use("SHOW statement_timeout", after) == [["41s"]]
        assert not database.differences()
        if number % 5 == 4:
            bench.step(Step.RETIRE, old_version)
        if number % len(GRANTS) == len(GRANTS) - 1:
            database.run(f"SET ROLE {database.owner}; CREATE TABLE dba.later{number} (a int)")
            assert database.use(f"SELECT a FROM dba.later{number}", after) == []
            for each in GRANTS:
                users = f"{database.app}, {database.app}_clone"
                database.run(f"SET ROLE {database.owner}; REVOKE {each.format(database=database.name)} FROM {users}")
            database.run(f"DROP TABLE dba.later{number}")
            catalogue.append(database.catalogue())
    # The users change places from one measurement to the next: what one or the other leaves in its turn is compared with itself.
    assert len(catalogue) == ALTERNATIONS // len(GRANTS)
    assert catalogue[-1] == catalogue[1]
    assert catalogue[-2] == catalogue[2]
    limits = database.run("SELECT rolconnlimit FROM pg_roles WHERE rolname LIKE $1 AND rolname <> $2", f"{database.app}%", database.owner)
    assert limits == [[17], [17]]
    assert len({json.loads(value)["password"] for value in bench.store.values[APP].values()}) == ALTERNATIONS + 1
