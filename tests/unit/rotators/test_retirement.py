"""retireSecret and restoreSecret: what is refused before the back end is asked, against a dictionary."""

import json

import pytest
from tests.unit.rotators.stores import Killed, World

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import ROTATION, Result, Runner, Step
from keyturn_rotators.versions import CURRENT, PENDING, PREVIOUS

OLDER = (Step.RETIRE, Step.RESTORE)


def rotated(*, alternating: bool = True) -> tuple[World, str]:
    """A world after one rotation, and its new version; the older one is v1."""
    world = World(alternating=alternating)
    token = world.store.start("app")
    world.rotate(token)
    return world, token


def logs_in(world: World, version: str) -> bool:
    return world.server.takes(Credential.parse(world.store.values["app"][version], secret="app"))


@pytest.mark.parametrize("alternating", [True, False])
def test_the_version_before_is_retired_and_the_current_one_is_not_touched(alternating: bool) -> None:
    world, _ = rotated(alternating=alternating)
    labels = json.dumps({version: sorted(on) for version, on in world.store.labels["app"].items()})
    assert world.step(Step.RETIRE, "v1") is Result.DONE
    assert not logs_in(world, "v1")
    assert world.current_logs_in
    assert json.dumps({version: sorted(on) for version, on in world.store.labels["app"].items()}) == labels


@pytest.mark.parametrize("alternating", [True, False])
def test_the_version_before_is_restored_whether_it_was_retired_or_not(alternating: bool) -> None:
    world, _ = rotated(alternating=alternating)
    world.step(Step.RESTORE, "v1")
    assert logs_in(world, "v1")


def test_what_was_restored_and_promoted_may_be_restored_again() -> None:
    world, token = rotated(alternating=False)
    world.step(Step.RESTORE, "v1")
    world.store.promote("app", token="v1", from_version=token)
    world.store.labels["app"][token].discard(PENDING)
    assert world.step(Step.RESTORE, "v1") is Result.DONE
    assert world.current_logs_in


@pytest.mark.parametrize("step", OLDER)
@pytest.mark.parametrize("done", range(4))
def test_nothing_is_done_while_awspending_is_on_another_version_than_awscurrent(
    step: Step, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = rotated()
    monkeypatch.setattr(Context, "confirm_idle", lambda context: None)  # an engine without a lock need not look again
    token = world.store.start("app")
    for each in ROTATION[:done]:
        world.step(each, token)
    changes = world.server.changes
    with pytest.raises(RotationError, match="AWSPENDING is on a version that is not current") as refused:
        world.step(step, "v1")
    assert refused.value.kind is Kind.POLICY
    assert world.server.changes == changes


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("step", OLDER)
def test_a_finished_rotation_is_none_in_flight_whether_or_not_awspending_stays(step: Step, pending: bool) -> None:
    world, token = rotated()
    (world.store.labels["app"][token].add if pending else world.store.labels["app"][token].discard)(PENDING)
    assert world.step(step, "v1") is Result.DONE


@pytest.mark.parametrize("step", OLDER)
def test_a_rotation_that_begins_meanwhile_is_seen_under_the_back_ends_lock(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = rotated()
    method = "retire" if step is Step.RETIRE else "restore"
    guarded = getattr(world.engine, method)

    def begins_meanwhile(old: Credential, context: Context) -> None:
        world.store.start("app")
        guarded(old, context)

    monkeypatch.setattr(world.engine, method, begins_meanwhile)
    changes = world.server.changes
    with pytest.raises(RotationError, match="a rotation is under way"):
        world.step(step, "v1")
    assert world.server.changes == changes


def test_the_current_version_is_not_retired() -> None:
    world, token = rotated()
    with pytest.raises(RotationError, match="the version is current"):
        world.step(Step.RETIRE, token)
    assert world.current_logs_in


def test_a_user_that_is_the_current_one_too_is_not_retired() -> None:
    world, token = rotated(alternating=True)
    world.store.values["app"]["edited"] = json.dumps(json.loads(world.store.value("app")) | {"password": "by-hand"})
    world.store.label("app", PREVIOUS, token)
    world.store.label("app", CURRENT, "edited")
    world.store.labels["app"][token].discard(PENDING)
    with pytest.raises(RotationError, match="its username is the current version's too"):
        world.step(Step.RETIRE, token)


def test_with_one_user_it_is_the_password_that_must_not_be_the_current_one() -> None:
    world, token = rotated(alternating=False)
    world.store.values["app"]["edited"] = json.dumps(json.loads(world.store.value("app")) | {"note": "edited"})
    world.store.label("app", PREVIOUS, token)
    world.store.label("app", CURRENT, "edited")
    world.store.labels["app"][token].discard(PENDING)
    with pytest.raises(RotationError, match="its username and password is the current version's too"):
        world.step(Step.RETIRE, token)


@pytest.mark.parametrize("step", OLDER)
@pytest.mark.parametrize(
    ("name", "value"), [("host", "evil.example"), ("port", 1), ("engine", "x"), ("masterarn", "arn:x"), ("ssl", False)]
)
def test_a_version_that_leads_elsewhere_is_left_alone(step: Step, name: str, value: object) -> None:
    world, _ = rotated()
    world.store.values["app"]["v1"] = json.dumps(json.loads(world.store.values["app"]["v1"]) | {name: value})
    changes = world.server.changes
    with pytest.raises(RotationError, match=f"the version's {name} is not the current version's"):
        world.step(step, "v1")
    assert world.server.changes == changes


@pytest.mark.parametrize("step", OLDER)
def test_a_version_without_a_value_is_refused(step: Step) -> None:
    world, _ = rotated()
    with pytest.raises(RotationError, match="not a version with a value"):
        world.step(step, "nobody")


@pytest.mark.parametrize("step", OLDER)
def test_a_version_that_has_lost_its_labels_is_found_by_its_id(step: Step) -> None:
    world, _ = rotated(alternating=False)
    world.rotate(world.store.start("app"))
    assert not world.store.labels["app"]["v1"]
    assert world.step(step, "v1") is Result.DONE


@pytest.mark.parametrize("runner", list(Runner))
@pytest.mark.parametrize("enabled", [True, False, None])
@pytest.mark.parametrize("step", OLDER)
def test_whether_aws_rotates_the_secret_does_not_matter(step: Step, runner: Runner, enabled: bool | None) -> None:
    world, _ = rotated()
    world.store.enabled = enabled
    assert world.step(step, "v1", runner=runner) is Result.DONE


def test_a_login_that_is_still_taken_is_not_called_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = rotated()
    monkeypatch.setattr(world.server, "lock", lambda user: None)
    with pytest.raises(RotationError, match="still taken"):
        world.step(Step.RETIRE, "v1")


def test_an_engine_that_cannot_says_so_and_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(old: Credential, context: Context) -> None:
        raise Unsupported("keys of this provider cannot be revoked")

    world, _ = rotated()
    monkeypatch.setattr(world.engine, "retire", cannot)
    with pytest.raises(Unsupported, match="cannot be revoked"):
        world.step(Step.RETIRE, "v1")


def test_the_next_rotation_lets_a_retired_user_in_again() -> None:
    world, _ = rotated()
    world.step(Step.RETIRE, "v1")
    world.rotate(world.store.start("app"))
    assert world.store.credential("app").username == "app"
    assert world.current_logs_in


@pytest.mark.parametrize("step", OLDER)
def test_wherever_the_process_dies_the_current_credential_logs_in_and_the_next_attempt_completes_it(step: Step) -> None:
    for request in range(20):
        world, _ = rotated()
        if step is Step.RESTORE:
            world.step(Step.RETIRE, "v1")
        world.life.begin(ends_before=request)
        try:
            world.step(step, "v1")
        except Killed:
            assert world.current_logs_in
            world.life.begin()
            world.step(step, "v1")
        else:
            assert request > 4
            return
        assert logs_in(world, "v1") is (step is Step.RESTORE)
    pytest.fail("the step makes more requests than this")


def test_a_value_longer_than_aws_takes_is_refused_before_it_is_sent() -> None:
    world = World(note="x" * 65_536)
    with pytest.raises(RotationError, match="longer than 65536 bytes") as refused:
        world.step(Step.CREATE, world.store.start("app"))
    assert refused.value.kind is Kind.POLICY
    assert ("PutSecretValue", "app") not in world.store.calls
