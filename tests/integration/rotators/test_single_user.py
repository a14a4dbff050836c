"""One user that changes its own password, on a real PostgreSQL."""

import string

import pytest
from pg8000.exceptions import DatabaseError
from tests.integration.rotators.worlds import Shop

from keyturn_lab.backends import Postgres
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.postgres.connection import Session
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step
from keyturn_rotators.versions import CURRENT


@pytest.fixture
def shop(pg: Postgres) -> Shop:
    return Shop(pg, strategy="SingleUser")


def test_the_password_changes_and_the_old_one_is_dead_at_set(shop: Shop) -> None:
    before = shop.current
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    assert shop.use("SELECT 1") == [[1]]
    shop.step(Step.SET, token)
    with pytest.raises(DatabaseError):
        shop.use("SELECT 1", credential=before)
    shop.step(Step.TEST, token)
    shop.step(Step.FINISH, token)
    assert shop.current.username == shop.app
    assert shop.use("SELECT 1") == [[1]]


def test_no_superuser_is_asked(shop: Shop) -> None:
    shop.set_value("app", masterarn=None)
    shop.environ = {}
    shop.rotate()
    assert {secret for _, secret in shop.store.calls} == {"app"}


def test_after_a_promotion_that_was_taken_back_the_previous_version_still_opens_the_door(shop: Shop) -> None:
    first = shop.store.holder("app", CURRENT)
    assert first is not None
    shop.rotate()
    second = shop.store.holder("app", CURRENT)
    assert second is not None
    shop.store.promote("app", token=first, from_version=second)
    shop.rotate()
    assert shop.use("SELECT 1") == [[1]]


def test_a_previous_version_for_another_host_is_never_tried(shop: Shop) -> None:
    first = shop.store.holder("app", CURRENT)
    assert first is not None
    shop.rotate()
    second = shop.store.holder("app", CURRENT)
    assert second is not None
    shop.set_value("app", host="localhost")
    shop.store.promote("app", token=first, from_version=second)
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as refused:
        shop.step(Step.SET, token)
    assert refused.value.kind is Kind.AUTHENTICATION


def test_a_user_whose_name_needs_quotes_is_rotated(pg: Postgres, shop: Shop) -> None:
    name = f'{shop.app} "; DROP ROLE postgres; --'
    pg.create_app_user(name, "first-password", database=shop.database)
    shop.set_value("app", username=name, password="first-password")
    shop.rotate()
    assert shop.use("SELECT current_user::text") == [[name]]


def test_a_long_password_of_every_printable_character_works(shop: Shop) -> None:
    shop.environ |= {"EXCLUDE_CHARACTERS": "", "PASSWORD_LENGTH": "4000"}
    password = shop.rotate().password
    assert set(string.punctuation + string.ascii_letters + string.digits) <= set(password)
    assert shop.use("SELECT 1") == [[1]]
    shop.rotate()
    assert shop.use("SELECT 1") == [[1]]


@pytest.mark.parametrize(
    "setting", ["default_transaction_read_only = on", "default_transaction_isolation = serializable", "role = {group}"]
)
def test_a_user_whose_settings_are_for_the_apps_sessions_changes_its_password_all_the_same(shop: Shop, setting: str) -> None:
    group = f"group_{shop.database}"
    shop.own(f"CREATE ROLE {group}; GRANT {group} TO {shop.app}")
    shop.own(f"ALTER ROLE {shop.app} SET {setting.format(group=group)}")
    before = shop.current
    shop.rotate()
    with pytest.raises(DatabaseError):
        shop.use("SELECT 1", credential=before)
    assert shop.current.password != before.password


def test_no_setting_of_the_user_ends_the_rotators_sessions_before_the_step_does(shop: Shop) -> None:
    limits = ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
    for limit in limits:
        shop.own(f"ALTER ROLE {shop.app} SET {limit} = '31s'")
    with Session(shop.current, deadline=Deadline.after(600)) as session:
        query = "SELECT setting::int FROM pg_settings WHERE name = :name"
        found = [session.run(query, name=name)[0][0] for name in limits]
    assert 31_000 < found[0] <= 600_001
    assert found[1:] == [0, 0, 0]
