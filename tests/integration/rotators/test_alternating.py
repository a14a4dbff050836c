"""Two users in turn on a real PostgreSQL, with a superuser who is none: CREATEROLE, and ADMIN on the one user."""

import pytest
from pg8000.exceptions import DatabaseError
from tests.integration.rotators.worlds import Shop

from keyturn_lab.backends import Postgres
from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step
from keyturn_rotators.versions import PENDING


def test_six_rotations_change_users_in_turn_and_the_last_credential_works_all_the_time(shop: Shop) -> None:
    users = []
    for _ in range(6):
        before = shop.current
        users.append(shop.rotate().username)
        assert shop.use("SELECT 1") == [[1]]
        assert shop.use("SELECT 1", credential=before) == [[1]]
    assert users == [shop.clone, shop.app] * 3


def test_a_password_from_two_rotations_ago_is_refused(shop: Shop) -> None:
    oldest = shop.current
    shop.rotate()
    shop.rotate()
    with pytest.raises(DatabaseError):
        shop.use("SELECT 1", credential=oldest)


def test_what_either_user_creates_belongs_to_the_same_role_and_both_may_alter_and_drop_it(shop: Shop) -> None:
    first, second = shop.current, shop.rotate()
    shop.use(f"CREATE TABLE {shop.app}.made_by_clone (id serial PRIMARY KEY)")
    shop.use(f"ALTER TABLE {shop.app}.made_by_clone ADD COLUMN a int", credential=first)
    shop.use(f"CREATE TABLE {shop.app}.made_by_app (id int)", credential=first)
    shop.use(f"ALTER TABLE {shop.app}.made_by_app ADD COLUMN a int", credential=second)
    shop.use(f"DROP TABLE {shop.app}.made_by_app", credential=second)
    owners = shop.own("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = $1", shop.app)
    assert owners == [[shop.app]]


def test_a_pool_that_discards_everything_between_clients_still_acts_as_the_owner(shop: Shop) -> None:
    shop.rotate()
    with shop.connection() as connection:
        connection.run("DISCARD ALL")
        assert connection.run("SELECT current_user::text") == [[shop.app]]


@pytest.mark.parametrize(
    ("grant", "use"),
    [
        ("GRANT SELECT ON shared.t TO {user}", "SELECT a FROM shared.t"),
        ("GRANT SELECT (a) ON shared.t TO {user}", "SELECT a FROM shared.t"),
        ("GRANT USAGE ON SEQUENCE shared.s TO {user}", "SELECT nextval('shared.s')"),
        ("GRANT EXECUTE ON FUNCTION shared.f(int) TO {user}", "SELECT shared.f(1)"),
        ("GRANT USAGE ON TYPE shared.d TO {user}", "CREATE TEMPORARY TABLE x (v shared.d)"),
        ("GRANT CREATE ON SCHEMA shared TO {user}", "CREATE VIEW shared.v AS SELECT 1"),
        ("GRANT readers_{database} TO {user}", "SELECT a FROM shared.for_readers"),
        ("GRANT CREATE ON DATABASE {database} TO {user}", "CREATE SCHEMA another"),
    ],
)
@pytest.mark.parametrize("in_use", ["app", "clone"])
def test_a_right_granted_to_the_user_in_use_is_the_next_ones_too_and_gone_for_both_when_revoked(
    shop: Shop, grant: str, use: str, in_use: str
) -> None:
    others = Others(shop)
    if in_use == "clone":
        shop.rotate()
    user = shop.current.username
    before = shop.current
    others.grant(grant, user)
    after = shop.rotate()
    assert after.username != user
    others.use(use, before)
    others.use(use, after)
    for each in (shop.app, shop.clone):
        others.revoke(grant, each)
    shop.rotate()
    for credential in (after, shop.current):
        with pytest.raises(DatabaseError):
            others.use(use, credential)


def test_a_right_of_the_idle_user_alone_is_taken_away(shop: Shop) -> None:
    others = Others(shop)
    shop.rotate()
    shop.rotate()
    others.grant("GRANT SELECT ON shared.t TO {user}", shop.clone)
    shop.rotate()
    with pytest.raises(DatabaseError):
        others.use("SELECT a FROM shared.t", shop.current)


def test_grants_in_other_databases_of_the_server_are_made_equal_too(shop: Shop) -> None:
    others = Others(shop)
    elsewhere = f"{shop.database}_too"
    shop.pg.create_database(elsewhere)
    shop.own("CREATE TABLE public.t (a int)", database=elsewhere)
    shop.own(f"ALTER TABLE public.t OWNER TO {others.owner}", database=elsewhere)
    shop.rotate()
    shop.own(f"GRANT SELECT ON public.t TO {shop.clone}", database=elsewhere)
    credential = shop.rotate()
    assert credential.username == shop.app
    rows = shop.pg.execute("SELECT a FROM public.t", user=credential.username, password=credential.password, database=elsewhere)
    assert rows == []


def test_default_privileges_for_the_user_in_use_reach_the_tables_that_are_created_later(shop: Shop) -> None:
    others = Others(shop)
    shop.rotate()
    shop.own(f"ALTER DEFAULT PRIVILEGES FOR ROLE {others.owner} IN SCHEMA shared GRANT SELECT ON TABLES TO {shop.clone}")
    shop.rotate()
    shop.own(f"SET ROLE {others.owner}; CREATE TABLE shared.later (a int)")
    assert shop.use("SELECT a FROM shared.later") == []
    shop.rotate()
    left = shop.own("SELECT count(*) FROM pg_default_acl, aclexplode(defaclacl) WHERE grantee = $1::regrole", shop.clone)
    assert left == [[0]]


def test_default_privileges_that_a_clone_of_awss_function_set_for_itself_become_the_owners(shop: Shop) -> None:
    made_by_aws(shop)
    reader = f"reader_{shop.database}"
    shop.own(f"CREATE ROLE {reader}")
    shop.use(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader}")
    shop.rotate()
    shop.use(f"CREATE TABLE {shop.app}.later (a int)")
    assert shop.own("SELECT has_table_privilege($1, $2, 'SELECT')", reader, f"{shop.app}.later") == [[True]]


def test_tables_that_a_clone_of_awss_function_owns_become_the_owners(shop: Shop) -> None:
    made_by_aws(shop)
    shop.use(f"CREATE TABLE {shop.app}.theirs (a int)")
    clone = shop.current
    shop.rotate()
    shop.use(f"ALTER TABLE {shop.app}.theirs ADD COLUMN b int")
    shop.use(f"ALTER TABLE {shop.app}.theirs ADD COLUMN c int", credential=clone)


def test_a_clone_of_awss_function_acts_as_the_owner_from_its_next_login_on(shop: Shop) -> None:
    made_by_aws(shop)
    clone = shop.current
    assert shop.use("SELECT current_user::text", credential=clone) == [[shop.clone]]
    shop.rotate()
    assert shop.use("SELECT current_user::text", credential=clone) == [[shop.app]]


def test_a_row_level_policy_for_the_clone_is_the_owners_too(shop: Shop) -> None:
    others = Others(shop)
    made_by_aws(shop)
    shop.own("INSERT INTO shared.t VALUES (7)")
    shop.own("ALTER TABLE shared.t ENABLE ROW LEVEL SECURITY")
    shop.own(f"CREATE POLICY p ON shared.t TO {shop.clone} USING (true)")
    others.grant("GRANT SELECT ON shared.t TO {user}", shop.clone)
    shop.rotate()
    assert shop.use("SELECT a FROM shared.t") == [[7]]


def test_settings_and_attributes_of_the_user_in_use_are_carried_over_and_back(shop: Shop) -> None:
    shop.own(f"ALTER ROLE {shop.app} SET statement_timeout = '7s'")
    shop.own(f'ALTER ROLE {shop.app} IN DATABASE {shop.database} SET search_path = "$user", {shop.app}, "Strange, name"')
    shop.own(f"ALTER ROLE {shop.app} SET \"my.setting\" = 'it''s; DROP ROLE x'")
    shop.own(f'GRANT SET ON PARAMETER "my.setting" TO {shop.admin}')
    shop.own(f"ALTER ROLE {shop.app} CONNECTION LIMIT 7 VALID UNTIL '2090-01-01 00:00:00+00'")
    shop.rotate()
    wanted = [["7s", f'"$user", {shop.app}, "Strange, name"', "it's; DROP ROLE x"]]
    query = "SELECT current_setting('statement_timeout'), current_setting('search_path'), current_setting('my.setting')"
    assert shop.use(query) == wanted
    shop.own(f"ALTER ROLE {shop.clone} RESET statement_timeout")
    shop.own(f"ALTER ROLE {shop.clone} CONNECTION LIMIT 9")
    shop.rotate()
    assert shop.use(query) == [["0", *wanted[0][1:]]]
    attributes = shop.own("SELECT rolconnlimit, rolvaliduntil::text FROM pg_roles WHERE rolname LIKE $1", f"{shop.app}%")
    assert attributes == [[9, "2090-01-01 00:00:00+00"]] * 2


@pytest.mark.parametrize("place", ["ROLE {app}", "DATABASE {database}"])
def test_settings_for_the_apps_sessions_hinder_no_rotation(shop: Shop, place: str) -> None:
    others = Others(shop)
    for setting in ("default_transaction_isolation = serializable", "default_transaction_read_only = on"):
        shop.own(f"ALTER {place.format(app=shop.app, database=shop.database)} SET {setting}")
    for _ in range(3):
        shop.own(f"BEGIN READ WRITE; GRANT SELECT ON shared.t TO {shop.current.username}; COMMIT")
        shop.rotate()
        others.use("SELECT a FROM shared.t", shop.current)


@pytest.mark.parametrize(("admin", "inherit"), [(True, False), (False, False), (False, True)])
def test_a_membership_is_carried_over_as_it_was_granted(shop: Shop, admin: bool, inherit: bool) -> None:
    group = f"group_{shop.database}"
    made_by_aws(shop)
    shop.own(f"CREATE ROLE {group}; GRANT {group} TO {shop.admin} WITH ADMIN OPTION")
    shop.own(f"GRANT {group} TO {shop.clone} WITH ADMIN {admin}, INHERIT {inherit}, SET FALSE")
    shop.rotate()
    options = shop.own(
        "SELECT admin_option, inherit_option, set_option FROM pg_auth_members WHERE roleid = $1::regrole AND member = $2::regrole",
        group,
        shop.app,
    )
    assert options == [[admin, inherit, False]]


def test_a_setting_that_nobody_of_the_rotation_may_copy_fails_the_step_and_is_named_without_its_value(shop: Shop) -> None:
    shop.own(f"ALTER ROLE {shop.app} SET \"my.token\" = 'canary-of-the-setting'")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match=r"the setting my\.token is not the same") as refused:
        shop.step(Step.SET, token)
    assert "canary" not in str(refused.value)


def test_a_setting_that_the_apps_user_made_up_is_a_value_and_never_a_statement(shop: Shop) -> None:
    shop.use("SELECT set_config('search_path', 'a;ALTER/**/ROLE', false)")
    shop.own(f"SET search_path = 'x;drop role {shop.app};--'; ALTER ROLE {shop.app} SET search_path FROM CURRENT")
    shop.rotate()
    assert shop.use("SHOW search_path") == [[f'"x;drop role {shop.app};--"']]


def test_a_user_that_acts_as_a_group_from_login_on_does_so_under_both_names(shop: Shop) -> None:
    group = f"group_{shop.database}"
    shop.own(f"CREATE ROLE {group}")
    shop.own(f"GRANT {group} TO {shop.app}")
    shop.own(f"ALTER ROLE {shop.app} SET role = {group}")
    for _ in range(3):
        shop.rotate()
        assert shop.use("SELECT current_user::text") == [[group]]


def test_a_role_that_is_there_and_no_partner_is_left_alone(shop: Shop) -> None:
    shop.own(f"CREATE ROLE {shop.clone} LOGIN PASSWORD 'somebody-elses'")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match="no partner") as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.POLICY
    assert f'GRANT "{shop.app}" TO "{shop.clone}"' in refused.value.check
    shop.pg.execute("SELECT 1", user=shop.clone, password="somebody-elses", database=shop.database)


def test_a_superuser_is_not_given_a_second_user(shop: Shop) -> None:
    shop.own(f"ALTER ROLE {shop.app} SUPERUSER")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match="superuser cannot"):
        shop.step(Step.SET, token)


def test_whoever_does_not_know_the_current_password_gets_nothing_done_in_the_users_name(shop: Shop) -> None:
    shop.set_value("app", password="guessed")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.AUTHENTICATION
    assert shop.own("SELECT count(*) FROM pg_roles WHERE rolname = $1", shop.clone) == [[0]]


def test_a_superusers_secret_for_another_host_is_refused_before_it_is_used(shop: Shop) -> None:
    shop.set_value("superuser", host="localhost")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match="for another host"):
        shop.step(Step.SET, token)


def test_a_superusers_secret_without_a_host_is_used_only_for_the_host_that_the_function_names(shop: Shop) -> None:
    shop.set_value("superuser", host=None, port=None, engine=None)
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match="names no host"):
        shop.step(Step.SET, token)
    shop.environ["KEYTURN_SUPERUSER_HOST"] = shop.pg.host
    shop.step(Step.SET, token)


@pytest.mark.parametrize("user", ["app", "clone"])
def test_a_superuser_who_is_one_of_the_two_users_is_refused(shop: Shop, user: str) -> None:
    shop.set_value("superuser", username=getattr(shop, user))
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError, match="cannot rotate itself"):
        shop.step(Step.SET, token)


def test_functions_that_the_databases_owner_puts_before_the_servers_own_are_never_called(shop: Shop) -> None:
    traps = ("set_config(text, text, boolean)", "current_setting(text)", "format(text, name)", "quote_ident(text)", "quote_ident(name)")
    shop.own("CREATE SCHEMA trap")
    for trap in traps:
        shop.own(f"CREATE FUNCTION trap.{trap} RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $t$trapped$t$; END'")
    shop.own(f"GRANT USAGE ON SCHEMA trap TO PUBLIC; ALTER DATABASE {shop.database} SET search_path = trap, pg_catalog")
    with pytest.raises(DatabaseError):
        shop.use("SELECT current_setting('role')")
    for _ in range(2):
        shop.rotate()


def test_a_wrong_superuser_password_is_told_as_such(shop: Shop) -> None:
    shop.set_value("superuser", password="wrong-one")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.AUTHENTICATION
    assert f"user {shop.admin}" in str(refused.value)
    assert "secret superuser" in str(refused.value)
    assert "wrong-one" not in str(refused.value)


def test_a_superuser_without_createrole_is_told_what_it_lacks(shop: Shop) -> None:
    shop.own(f"ALTER ROLE {shop.admin} NOCREATEROLE")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.PERMISSION


def test_a_right_that_the_superuser_may_not_pass_on_fails_the_step_and_the_message_holds_the_statement(shop: Shop) -> None:
    shop.own("CREATE SCHEMA dba")
    shop.own("CREATE TABLE dba.t (a int)")
    shop.rotate()
    shop.own(f"GRANT USAGE ON SCHEMA dba TO {shop.app}")
    shop.own(f"GRANT SELECT ON dba.t TO {shop.clone}")
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.PERMISSION
    statement = f'GRANT SELECT ON TABLE dba.t TO "{shop.app}"'
    assert statement in refused.value.check
    shop.own(statement)
    for step in ROTATION:
        shop.step(step, token)
    assert shop.use("SELECT a FROM dba.t") == []


def test_verify_sees_a_right_that_the_pending_user_lacks(shop: Shop) -> None:
    shop.rotate()
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    shop.step(Step.SET, token)
    shop.own("CREATE TABLE public.t (a int)")
    shop.own(f"GRANT SELECT ON public.t TO {shop.clone}")
    with pytest.raises(RotationError, match=r"SELECT on table public\.t") as refused:
        shop.step(Step.TEST, token)
    assert refused.value.kind is Kind.PERMISSION
    assert shop.store.holder("app", PENDING) == token


def test_no_password_ever_reaches_the_servers_log(pg: Postgres) -> None:
    shop = Shop(pg)
    passwords = [shop.rotate().password for _ in range(3)]
    log = pg.log.read_text(errors="replace")
    assert f'ALTER ROLE "{shop.clone}"' in log
    assert not [password for password in passwords if password in log]


def made_by_aws(shop: Shop) -> None:
    """The state that AWS's function leaves: a clone that is a member of the user, and current."""
    shop.own(f"CREATE ROLE {shop.clone} LOGIN PASSWORD 'made-by-aws'")
    shop.own(f"GRANT {shop.app} TO {shop.clone}")
    shop.own(f"GRANT {shop.clone} TO {shop.admin} WITH ADMIN OPTION")
    shop.set_value("app", username=shop.clone, password="made-by-aws")


class Others:
    """A team that owns a schema of its own, and lets the rotation's superuser pass its rights on."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.owner, readers = f"owner_{shop.database}", f"readers_{shop.database}"
        statements = (
            f"CREATE ROLE {self.owner}",
            f"CREATE ROLE {readers}",
            f"GRANT {self.owner} TO {shop.admin}",
            f"GRANT {readers} TO {shop.admin} WITH ADMIN OPTION",
            f"ALTER DATABASE {shop.database} OWNER TO {self.owner}",
            f"CREATE SCHEMA shared AUTHORIZATION {self.owner}",
            "CREATE TABLE shared.t (a int)",
            "CREATE SEQUENCE shared.s",
            "CREATE DOMAIN shared.d AS int",
            "CREATE FUNCTION shared.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
            "CREATE TABLE shared.for_readers (a int)",
            f"ALTER TABLE shared.t OWNER TO {self.owner}",
            f"ALTER SEQUENCE shared.s OWNER TO {self.owner}",
            f"ALTER DOMAIN shared.d OWNER TO {self.owner}",
            f"ALTER FUNCTION shared.f(int) OWNER TO {self.owner}",
            f"ALTER TABLE shared.for_readers OWNER TO {self.owner}",
            "REVOKE ALL ON FUNCTION shared.f(int) FROM PUBLIC",
            "REVOKE ALL ON TYPE shared.d FROM PUBLIC",
            f"GRANT SELECT ON shared.for_readers TO {readers}",
            f"GRANT USAGE ON SCHEMA shared TO {shop.app}",
        )
        shop.own("; ".join(statements))

    def grant(self, grant: str, user: str) -> None:
        self._shop.own(grant.format(user=user, database=self._shop.database))

    def revoke(self, grant: str, user: str) -> None:
        """From PostgreSQL 16 on a membership is revoked in the name of whoever granted it, which may have been the rotation's superuser."""
        revoke = grant.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ")
        self.grant(revoke, user)
        if " ON " not in grant:
            self.grant(f"{revoke} GRANTED BY {self._shop.admin}", user)

    def use(self, sql: str, credential: Credential) -> None:
        """Try it, and leave nothing behind."""
        self._shop.use(f"BEGIN; {sql}; ROLLBACK", credential=credential)
