"""One user that changes its own password, on a real PostgreSQL."""

import string

import pytest
from pg8000.exceptions import DatabaseError
from tests.integration.rotators.worlds import Shop

from keyturn_lab.backends import Postgres
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
