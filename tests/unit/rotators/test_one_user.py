"""One user: the order of the steps, which no engine has to think of."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.unit.rotators.doors import Door, version

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.one_user import OneUser

OTHER = version(password="second")
STEPS = ("apply", "retire", "restore")


class Single(OneUser[str, str]):
    """The least engine with one user."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.settings)
        self.door = door
        self.back_end = door.back_end

    def _open(self, itself: str, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[str]:
        assert itself == valid.username == wanted.username
        assert self.door.passwords[itself] == valid.password
        return self.door.open()

    def _change(self, work: str, wanted: Credential, context: Context) -> None:
        self.door.set_password(wanted)


@pytest.fixture
def door() -> Door:
    return Door()


def do(door: Door, step: str, credential: Credential = OTHER) -> None:
    method: Callable[[Credential, Context], None] = getattr(Single(door), step)
    method(credential, door.context)


def refused(door: Door, step: str, credential: Credential = OTHER) -> RotationError:
    with pytest.raises(RotationError) as raised:
        do(door, step, credential)
    return raised.value


def test_what_is_proposed_is_the_same_user_with_another_password(door: Door) -> None:
    single, current = Single(door), door.context.current()
    proposed = single.propose(current, door.context)
    assert proposed.username == "app"
    assert proposed.get("password") != current.get("password")
    assert single.is_successor(proposed, current) is None


def test_a_secret_without_a_user_gets_no_proposal(door: Door) -> None:
    with pytest.raises(RotationError, match="username is missing"):
        Single(door).propose(version().without("username"), door.context)


@pytest.mark.parametrize(("fields", "wrong"), [({"username": "root"}, "username"), ({"realm": "two"}, "realm")])
def test_a_pending_version_of_another_user_or_place_is_no_successor(door: Door, fields: dict[str, object], wrong: str) -> None:
    assert Single(door).is_successor(version(**fields), door.context.current()) == wrong


@pytest.mark.parametrize(
    ("step", "events"),
    [
        ("apply", ["login app", "login app", "open", "set app"]),  # as the pending one, which is refused, and as the current one
        ("retire", ["login app", "login app"]),  # as the current one, and as the old one
        ("restore", ["login app", "login app", "open", "set app", "login app"]),
    ],
)
def test_the_user_logs_in_before_its_password_is_changed_and_what_was_done_is_tried_last(door: Door, step: str, events: list[str]) -> None:
    do(door, step)
    assert door.events == events


@pytest.mark.parametrize("step", ["apply", "restore"])
def test_nothing_is_opened_where_the_password_is_taken_already(door: Door, step: str) -> None:
    door.passwords["app"] = "second"
    do(door, step)
    assert set(door.events) == {"login app"}


@pytest.mark.parametrize("step", ["retire", "restore"])
def test_another_users_password_is_neither_ended_nor_set(door: Door, step: str) -> None:
    error = refused(door, step, version(username="root"))
    assert (error.kind, error.what) == (Kind.POLICY, "the version's user is not the current version's")
    assert door.events == []


@pytest.mark.parametrize("step", ["retire", "restore"])
def test_an_older_version_that_leads_elsewhere_is_left_alone(door: Door, step: str) -> None:
    assert "realm" in refused(door, step, OTHER.replaced(realm="two")).what
    assert door.events == []


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_opened_where_the_secret_knows_no_password_of_its_user(door: Door, step: str) -> None:
    door.passwords["app"] = "changed by hand"
    assert refused(door, step).kind is Kind.AUTHENTICATION
    assert set(door.events) == {"login app"}


@pytest.mark.parametrize("step", ["apply", "restore"])
def test_after_a_promotion_that_was_taken_back_the_previous_password_will_do(door: Door, step: str) -> None:
    door.passwords["app"] = "promoted before"
    door.previous(password="promoted before")
    do(door, step)
    assert door.passwords["app"] == "second"


@pytest.mark.parametrize("fields", [{"username": "root"}, {"realm": "two"}, {"host": "elsewhere"}])
def test_a_previous_version_of_another_user_or_place_will_not(door: Door, fields: dict[str, object]) -> None:
    door.passwords |= {"app": "changed by hand", "root": "promoted before"}
    door.previous(password="promoted before", **fields)
    assert refused(door, "apply").kind is Kind.AUTHENTICATION
    assert set(door.events) == {"login app"}


def test_a_rotation_that_has_begun_while_the_lock_was_waited_for_stops_restoring_before_anything_is_changed(door: Door) -> None:
    door.at_open = door.begin_rotation
    assert "a rotation is under way" in refused(door, "restore").what
    assert door.events[-1] == "open"


def test_a_rotation_that_has_begun_stops_retiring_before_anybody_logs_in(door: Door) -> None:
    door.begin_rotation()
    assert "a rotation is under way" in refused(door, "retire").what
    assert door.events == []


def test_a_rotation_goes_through_beside_its_own_label(door: Door) -> None:
    door.begin_rotation()
    do(door, "apply")
    assert door.passwords["app"] == "second"


def test_retiring_fails_where_the_old_password_is_still_taken(door: Door) -> None:
    assert refused(door, "retire", version()).what == "the old credential is still taken"


def test_what_is_left_of_the_old_password_is_ended_by_the_user_itself_before_it_is_proved(door: Door) -> None:
    class Ending(Single):
        def _end(self, itself: str, old: Credential, context: Context) -> None:
            self.door.events.append(f"end by {itself}")

    Ending(door).retire(OTHER, door.context)
    assert door.events == ["login app", "end by app", "login app"]


def test_restoring_fails_where_the_password_is_not_taken(door: Door) -> None:
    door.is_broken = True
    assert refused(door, "restore").kind is Kind.AUTHENTICATION


def test_the_superuser_is_not_the_user(door: Door) -> None:
    door.store.values["superuser"]["v1"] = version().to_json()
    with pytest.raises(RotationError, match="cannot rotate itself"):
        Single(door)._superuser(OTHER, door.context)


def test_the_superuser_has_another_port_where_the_engine_says_so(door: Door) -> None:
    assert Single(door)._superuser(OTHER, door.context, port=5678).get("port") == 5678
