"""What docs/rotators/postgres.md says is enough, is enough."""

from contextlib import suppress

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError
from tests.integration.rotators.worlds import PASSWORD, Shop
from tests.support.rotator_pages import RotatorPage

from keyturn_lab.backends import Postgres
from keyturn_rotators.passwords import EXCLUDED
from keyturn_rotators.rotation import Step
from keyturn_rotators.versions import CURRENT

PAGE = RotatorPage("postgres")


@pytest.fixture
def shop(pg: Postgres) -> Shop:
    """Rotated by the admin of the page."""
    shop = Shop(pg)
    admin = f"documented_{shop.database}"
    statements = PAGE.block("sql", having="CREATE ROLE keyturn_admin")
    shop.own(statements.replace("keyturn_admin", admin).replace("GRANT app ", f"GRANT {shop.app} "))
    shop.set_value("superuser", username=admin, password="choose one")
    return shop


def test_the_admin_of_the_page_rotates_both_users(shop: Shop) -> None:
    shop.use(f"CREATE TABLE {shop.app}.t (a int)")
    assert [shop.rotate().username for _ in range(4)] == [shop.clone, shop.app] * 2
    assert shop.use(f"SELECT a FROM {shop.app}.t") == []


def test_the_admin_of_the_page_rotates_in_a_database_that_is_not_everybodys(shop: Shop) -> None:
    shop.own(f"REVOKE CONNECT ON DATABASE {shop.database} FROM PUBLIC; GRANT CONNECT ON DATABASE {shop.database} TO {shop.app}")
    statement = PAGE.block("sql", having="GRANT CONNECT")
    admin = shop.store.credential("superuser").username
    shop.own(statement.replace("DATABASE orders", f"DATABASE {shop.database}").replace("keyturn_admin", admin))
    assert [shop.rotate().username for _ in range(2)] == [shop.clone, shop.app]


def test_the_admin_of_the_page_retires_and_restores_either_user(shop: Shop) -> None:
    for _ in range(2):
        old, version = shop.current, shop.store.holder("app", CURRENT)
        assert version is not None
        shop.rotate()
        with suppress(DatabaseError, InterfaceError), shop.connection(old) as held:  # on its way out it tells a server that has hung up
            shop.step(Step.RETIRE, version)
            with pytest.raises((DatabaseError, InterfaceError)):
                held.run("SELECT 1")
        with pytest.raises(DatabaseError):
            shop.use("SELECT 1", credential=old)
        shop.step(Step.RESTORE, version)
        assert shop.use("SELECT 1", credential=old) == [[1]]


def test_the_admin_of_the_page_cannot_read_the_apps_tables(shop: Shop) -> None:
    shop.use(f"CREATE TABLE {shop.app}.t (a int)")
    shop.rotate()
    with pytest.raises(DatabaseError):
        shop.use(f"SELECT a FROM {shop.app}.t", credential=shop.store.credential("superuser"))


def test_the_policy_of_the_page_allows_the_calls_that_are_made_and_no_others(shop: Shop) -> None:
    shop.rotate()
    PAGE.assert_policy_is_for(shop.store.calls)


def test_the_secret_of_the_page_is_one_that_the_rotator_reads() -> None:
    credential = PAGE.secret()
    assert (credential.engine, credential.username, credential.port(1), credential.tls) == ("postgres", "app", 5432, True)
    assert credential.superuser_secret is not None


def test_the_membership_of_the_page_is_the_one_that_is_made(shop: Shop) -> None:
    shop.rotate()
    options = shop.own(
        "SELECT inherit_option, set_option FROM pg_auth_members WHERE roleid = $1::regrole AND member = $2::regrole", shop.app, shop.clone
    )
    assert options == [[True, True]]
    assert "GRANT app TO app_clone WITH INHERIT TRUE, SET TRUE" in PAGE


def test_the_characters_of_the_page_are_the_ones_that_are_left_out() -> None:
    assert f"`{EXCLUDED}`" in PAGE
    assert not set(EXCLUDED) & set(PASSWORD)
