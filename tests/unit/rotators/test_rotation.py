"""The four steps and every guard of theirs, against a dictionary."""

import itertools
import json

import pytest
from tests.unit.rotators.stores import World

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import ROTATION, Request, Result, Rotation, Runner, Step
from keyturn_rotators.versions import CURRENT, PENDING, PREVIOUS


def test_four_steps_make_the_proposed_credential_current_and_valid() -> None:
    world = World()
    token = world.store.start("app")
    assert [world.step(step, token) for step in ROTATION] == [Result.DONE] * 4
    assert world.store.holder("app", CURRENT) == token
    assert world.store.holder("app", PREVIOUS) == "v1"
    assert world.store.credential("app").username == "app_clone"
    assert world.current_logs_in


def test_fields_that_no_rotation_knows_are_carried_along_in_their_places() -> None:
    world = World(comment="ü", replicas=[1, {"a": None}])
    world.rotate(world.store.start("app"))
    value = json.loads(world.store.value("app"))
    assert value["comment"] == "ü"
    assert value["replicas"] == [1, {"a": None}]
    assert list(value) == ["engine", "host", "username", "password", "comment", "replicas"]


def test_one_rotation_makes_at_most_three_describes_four_reads_one_write_and_one_promotion() -> None:
    world = World()
    world.rotate(world.store.start("app"))
    assert dict(world.store.calls) == {
        ("DescribeSecret", "app"): 3,
        ("GetSecretValue", "app"): 4,
        ("PutSecretValue", "app"): 1,
        ("UpdateSecretVersionStage", "app"): 1,
    }


@pytest.mark.parametrize(("method", "step"), [("propose", Step.CREATE), ("apply", Step.SET), ("verify", Step.TEST)])
def test_a_step_of_a_rotation_that_the_engine_has_nothing_for_fails_because_aws_takes_every_answer_for_success(
    method: str, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise Unsupported("the server makes the secrets itself")

    world = World()
    token = world.store.start("app")
    for before in ROTATION[: ROTATION.index(step)]:
        world.step(before, token)
    monkeypatch.setattr(type(world.engine), method, cannot)
    with pytest.raises(RotationError, match="the server makes the secrets itself") as refused:
        world.step(step, token)
    assert refused.value.kind is Kind.POLICY


@pytest.mark.parametrize("step", [Step.CREATE, Step.SET, Step.FINISH])
def test_as_a_lambda_a_step_is_refused_where_rotation_is_turned_off(step: Step) -> None:
    world = World()
    token = world.store.start("app")
    world.store.enabled = False
    with pytest.raises(RotationError, match="turned off") as refused:
        world.step(step, token)
    assert refused.value.kind is Kind.POLICY


def test_as_a_lambda_a_secret_whose_rotation_was_never_described_as_on_or_off_is_rotated() -> None:
    world = World()
    world.store.enabled = None
    world.rotate(world.store.start("app"))
    assert world.current_logs_in


@pytest.mark.parametrize("step", ROTATION)
def test_a_token_that_is_no_version_is_refused(step: Step) -> None:
    with pytest.raises(RotationError, match="not a version"):
        World().step(step, "nobody")


@pytest.mark.parametrize("step", ROTATION)
def test_a_version_that_is_not_pending_is_refused(step: Step) -> None:
    world = World()
    token = world.store.start("app")
    world.store.label("app", PENDING, "other")
    world.store.labels["app"][token].add("AWSPREVIOUS")
    with pytest.raises(RotationError, match="not pending"):
        world.step(step, token)


@pytest.mark.parametrize("step", ROTATION)
def test_a_version_that_is_current_already_is_done_and_nothing_is_changed(step: Step) -> None:
    world = World()
    token = world.store.start("app")
    world.rotate(token)
    before = (world.server.changes, world.store.value("app"))
    world.store.labels["app"][token].discard(PENDING)
    assert world.step(step, token) is Result.ALREADY_CURRENT
    assert (world.server.changes, world.store.value("app")) == before


def test_create_never_overwrites_a_pending_value() -> None:
    world = World()
    token = world.store.start("app")
    world.step(Step.CREATE, token)
    proposed = world.store.value("app", PENDING)
    assert world.step(Step.CREATE, token) is Result.DONE
    assert world.store.value("app", PENDING) == proposed


def test_a_pending_version_without_a_value_is_completed() -> None:
    world = World()
    token = world.store.start("app")
    assert token not in world.store.values["app"]
    world.step(Step.CREATE, token)
    assert world.store.credential("app", PENDING).username == "app_clone"


def test_set_is_refused_while_the_pending_version_has_no_value() -> None:
    world = World()
    with pytest.raises(RotationError, match="no value"):
        world.step(Step.SET, world.store.start("app"))


def test_set_changes_nothing_where_the_pending_credential_works_already() -> None:
    world = World()
    token = world.store.start("app")
    for _ in range(3):
        world.step(Step.CREATE, token)
        world.step(Step.SET, token)
    assert world.server.changes == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("username", "postgres"),
        ("host", "evil.example"),
        ("port", 1),
        ("dbname", "other"),
        ("ssl", False),
        ("masterarn", "arn:x"),
        ("engine", "x"),
    ],
)
def test_set_refuses_a_pending_value_that_the_current_one_does_not_lead_to(name: str, value: object) -> None:
    world = World()
    token = world.store.start("app")
    world.step(Step.CREATE, token)
    world.store.values["app"][token] = json.dumps(json.loads(world.store.value("app", PENDING)) | {name: value})
    with pytest.raises(RotationError, match=f"pending version's {name} ") as refused:
        world.step(Step.SET, token)
    assert world.server.changes == 0
    assert str(value) not in str(refused.value) or name == "port"


def test_test_without_a_pending_value_tries_the_current_one_as_aws_does_with_a_new_rotation() -> None:
    world = World()
    assert world.step(Step.TEST, world.store.start("app")) is Result.CURRENT_VERIFIED


def test_finish_takes_the_label_from_the_version_that_holds_it_now() -> None:
    world = World()
    token = world.store.start("app")
    for step in (Step.CREATE, Step.SET, Step.TEST):
        world.step(step, token)
    world.store.values["app"]["v2"] = world.store.value("app")
    world.store.label("app", CURRENT, "v2")
    world.step(Step.FINISH, token)
    assert world.store.holder("app", PREVIOUS) == "v2"


@pytest.mark.parametrize("order", list(itertools.permutations(ROTATION)))
def test_steps_may_be_repeated_in_any_order_after_their_first_time(order: tuple[Step, ...]) -> None:
    world = World()
    token = world.store.start("app")
    for first in (Step.CREATE, Step.SET, Step.TEST):
        world.step(first, token)
    for step in order:
        world.step(step, token)
        assert world.current_logs_in
    assert world.store.holder("app", CURRENT) == token
    assert world.server.changes == 1


def test_the_rotation_token_goes_along_with_the_write() -> None:
    world = World()
    world.step(Step.CREATE, world.store.start("app"), rotation_token="proof-of-the-function")
    assert world.store.rotation_tokens == ["proof-of-the-function"]


@pytest.mark.parametrize("value", ["just text", "[1]", '"text"', "{", ""])
def test_a_secret_that_is_not_a_json_object_is_refused_without_a_word_of_it(value: str) -> None:
    world = World()
    world.store.values["app"]["v1"] = value
    with pytest.raises(RotationError, match="not a JSON object") as refused:
        world.step(Step.CREATE, world.store.start("app"))
    assert not value or value not in str(refused.value).replace("a JSON object", "")


def test_as_a_job_create_makes_the_pending_version() -> None:
    world = World()
    world.store.enabled = None
    for step in ROTATION:
        world.step(step, "a-token-of-ours", runner=Runner.JOB)
    assert world.store.holder("app", CURRENT) == "a-token-of-ours"
    assert world.current_logs_in


def test_as_a_job_nothing_is_done_where_aws_rotates_the_secret() -> None:
    with pytest.raises(RotationError, match="AWS rotates the secret itself"):
        World().step(Step.CREATE, "a-token-of-ours", runner=Runner.JOB)


def test_as_a_job_another_rotation_in_flight_is_not_touched() -> None:
    world = World()
    world.store.enabled = False
    world.store.start("app")
    with pytest.raises(RotationError, match="not a version"):
        world.step(Step.CREATE, "a-token-of-ours", runner=Runner.JOB)


def test_a_step_that_has_no_time_left_does_nothing() -> None:
    world = World()
    token = world.store.start("app")
    rotation = Rotation(world.store, lambda _: world.engine, deadline=Deadline.after(-1))
    with pytest.raises(RotationError, match="time limit"):
        rotation.run(Request(step=Step.CREATE, secret="app", token=token))
    assert not world.store.calls


def test_a_request_does_not_show_its_rotation_token() -> None:
    assert "proof" not in repr(Request(step=Step.CREATE, secret="app", token="t", rotation_token="proof"))
