"""Two users in turn: the order of the steps, which no engine has to think of."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.unit.rotators.doors import Door, version

from keyturn_rotators.alternation import alternate
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.in_turn import InTurn

CLONE = version(username="app_clone", password="second")
STEPS = ("apply", "retire", "restore")


class Pair(InTurn[str, str]):
    """The least engine with two users."""

    longest_name = 32

    def __init__(self, door: Door) -> None:
        super().__init__(door.settings)
        self.door = door
        self.back_end = door.back_end

    def _open(self, in_use: str, idle: Credential, context: Context) -> AbstractContextManager[str]:
        assert in_use == context.current().username
        return self.door.open()

    def _let_in(self, work: str, pending: Credential, context: Context) -> None:
        self.door.set_password(pending)

    def _shut_out(self, work: str, old: Credential, context: Context) -> None:
        self.door.shut_out(old)


@pytest.fixture
def door() -> Door:
    return Door()


def do(door: Door, step: str, credential: Credential = CLONE) -> None:
    method: Callable[[Credential, Context], None] = getattr(Pair(door), step)
    method(credential, door.context)


def refused(door: Door, step: str, credential: Credential = CLONE) -> RotationError:
    with pytest.raises(RotationError) as raised:
        do(door, step, credential)
    return raised.value


def test_what_is_proposed_is_the_partner_with_another_password(door: Door) -> None:
    pair, current = Pair(door), door.context.current()
    proposed = pair.propose(current, door.context)
    assert proposed.username == "app_clone"
    assert proposed.get("password") != current.get("password")
    assert pair.is_successor(proposed, current) is None


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [({"username": "app"}, "username"), ({"username": "root"}, "username"), ({"username": "app_clone", "realm": "two"}, "realm")],
)
def test_a_pending_version_of_a_stranger_or_of_another_place_is_no_successor(door: Door, fields: dict[str, object], wrong: str) -> None:
    assert Pair(door).is_successor(version(**fields), door.context.current()) == wrong


@pytest.mark.parametrize(
    ("step", "events"),
    [
        ("apply", ["login app", "open", "set app_clone"]),
        ("retire", ["login app", "open", "shut out app_clone", "login app_clone"]),
        ("restore", ["login app", "open", "set app_clone", "login app_clone"]),
    ],
)
def test_the_user_in_use_logs_in_first_and_what_was_done_is_tried_last(door: Door, step: str, events: list[str]) -> None:
    do(door, step)
    assert door.events == events


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("user", ["root", "App_clone", "app_clone_clone", "app "])
def test_nothing_is_done_in_the_name_of_a_user_that_is_not_the_partner(door: Door, step: str, user: str) -> None:
    error = refused(door, step, version(username=user))
    assert (error.kind, error.what) == (Kind.POLICY, "the version's user is not the current one's partner")
    assert door.events == []


@pytest.mark.parametrize("step", ["apply", "retire"])
def test_the_user_in_use_is_not_touched(door: Door, step: str) -> None:
    assert refused(door, step, version()).kind is Kind.POLICY
    assert door.events == []


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_is_opened_where_the_secret_does_not_know_the_password_of_its_user(door: Door, step: str, kind: Kind) -> None:
    door.passwords["app"], door.refuses_as = "changed by hand", kind
    assert refused(door, step).kind is kind
    assert door.events == ["login app"]


@pytest.mark.parametrize("step", ["retire", "restore"])
def test_a_rotation_that_has_begun_while_the_lock_was_waited_for_stops_it_before_anything_is_changed(door: Door, step: str) -> None:
    door.at_open = door.begin_rotation
    assert "a rotation is under way" in refused(door, step).what
    assert door.events == ["login app", "open"]


def test_a_rotation_goes_through_beside_its_own_label(door: Door) -> None:
    door.begin_rotation()
    do(door, "apply")
    assert door.passwords["app_clone"] == "second"


@pytest.mark.parametrize("step", ["retire", "restore"])
def test_an_older_version_that_leads_elsewhere_is_left_alone(door: Door, step: str) -> None:
    assert "realm" in refused(door, step, CLONE.replaced(realm="two")).what
    assert door.events == []


def test_retiring_fails_where_the_login_is_still_taken(door: Door) -> None:
    door.passwords["app_clone"], door.is_broken = "second", True
    assert refused(door, "retire").what == "the old credential is still taken"


def test_restoring_fails_where_the_login_is_not_taken(door: Door) -> None:
    door.is_broken = True
    assert refused(door, "restore").kind is Kind.AUTHENTICATION


def test_what_has_been_promoted_already_is_only_tried(door: Door) -> None:
    do(door, "restore", version())
    assert door.events == ["login app"]


@pytest.mark.parametrize("user", ["app", "app_clone"])
def test_the_superuser_is_neither_of_the_two(door: Door, user: str) -> None:
    door.store.values["superuser"]["v1"] = version(username=user).to_json()
    with pytest.raises(RotationError, match="cannot rotate itself"):
        Pair(door)._superuser(CLONE, door.context)


def test_the_superuser_has_the_port_of_the_back_end_where_no_secret_names_one(door: Door) -> None:
    superuser = Pair(door)._superuser(CLONE, door.context)
    assert (superuser.username, superuser.get("port")) == ("root", 1234)


def test_a_user_that_was_shut_out_may_be_let_in_in_another_way_than_a_new_one(door: Door) -> None:
    class Unlocking(Pair):
        def _let_in_again(self, work: str, old: Credential, context: Context) -> None:
            self.door.events.append("unlock")
            super()._let_in_again(work, old, context)

    Unlocking(door).restore(CLONE, door.context)
    assert door.events == ["login app", "open", "unlock", "set app_clone", "login app_clone"]


def test_an_engine_whose_names_are_written_otherwise_says_whose_they_are(door: Door) -> None:
    class Capitals(Pair):
        def _are_partners(self, idle: Credential, current: Credential) -> bool:
            return idle.username.lower() == alternate(current.username.lower())

        def _are_one(self, one: Credential, other: Credential) -> bool:
            return one.username.lower() == other.username.lower()

    Capitals(door).apply(CLONE.replaced(username="APP_clone"), door.context)
    door.passwords["APP"] = "first"
    Capitals(door).restore(version(username="APP"), door.context)
    assert door.events == ["login app", "open", "set APP_clone", "login APP"]


def test_the_superuser_has_another_port_where_the_engine_says_so(door: Door) -> None:
    assert Pair(door)._superuser(CLONE, door.context, port=5678).get("port") == 5678
