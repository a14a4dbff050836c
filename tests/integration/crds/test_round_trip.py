"""What the models write, the API server takes field by field, and gives back the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.integration.crds.objects import Objects
from tests.unit.api.lint import walk

from keyturn.api import (
    Adoption,
    Condition,
    ConditionStatus,
    ConnectionStatus,
    Kind,
    MirrorStatus,
    RotatingSecret,
    RotatingSecretStatus,
    RotationRun,
    RotationRunStatus,
    RotationTimes,
    RunSummary,
    RunVersions,
    SecretSummary,
    Settled,
    SourceStatus,
    Step,
    StepName,
    StepState,
    WorkloadKind,
    WorkloadState,
    WorkloadStatus,
)
from keyturn.api.connection import AWSConnection
from keyturn.api.crd import schema

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READY = Condition(
    type="Ready", status=ConditionStatus.TRUE, observed_generation=1, last_transition_time=NOON, reason="Mirrored", message="It is."
)
MIRROR = MirrorStatus(secret_name="orders-db", secret_uid="u", resource_version="7", version_id="v2", epoch=2, time=NOON, shape="abc")

SECRET = RotatingSecretStatus(
    observed_generation=1,
    conditions=[READY],
    source=SourceStatus(arn="arn", version_id="v2", version_time=NOON, rotated_by="rds", next_rotation_time=NOON),
    mirror=MIRROR,
    settled=Settled(version_id="v2", epoch=2),
    rotation=RotationTimes(last_time=NOON, next_time=NOON, last_schedule_time=NOON, last_attempt_time=NOON),
    adoption=Adoption(pods=7, pods_on_version=3, workloads=2),
    active_run="run",
    summary=SecretSummary(version="v2", adopted="3/7", next_rotation="soon"),
)
RUN = RotationRunStatus(
    observed_generation=1,
    conditions=[READY],
    versions=RunVersions(from_="v1", to="v2"),
    mirror=MIRROR,
    start_time=NOON,
    completion_time=NOON,
    steps=[Step(name=name, state=StepState.SUCCEEDED, start_time=NOON, end_time=NOON, message="Done.") for name in StepName],
    workloads=[
        WorkloadStatus(
            kind=kind, name="api", wave=1, state=WorkloadState.HELD, pods=3, pods_on_version=1, annotated=True, message="One pod fails."
        )
        for kind in WorkloadKind
    ],
    more_workloads=4,
    wave=1,
    wave_start_time=NOON,
    soak_until=NOON,
    summary=RunSummary(step="Rollout", adopted="1/3", from_="v1", to="v2", duration="3m"),
)
CONNECTION = ConnectionStatus(
    observed_generation=1, conditions=[READY], identity="arn:aws:iam::123456789012:user/x", last_success_time=NOON
)

AUTH = {"staticCredentials": {"secretRef": {"name": "keys"}}}
CASES = [
    pytest.param(RotatingSecret, {"secretId": "shop/orders/db"}, SECRET, id="RotatingSecret"),
    pytest.param(RotationRun, {"secretRef": {"name": "orders-db"}}, RUN, id="RotationRun"),
    pytest.param(AWSConnection, {"region": "eu-west-1", "auth": AUTH}, CONNECTION, id="AWSConnection"),
]
Status = RotatingSecretStatus | RotationRunStatus | ConnectionStatus


@pytest.mark.parametrize(("kind", "spec", "status"), CASES)
def test_a_full_status_is_stored_and_read_back_unchanged(
    kind: type[Kind], spec: dict[str, object], status: Status, objects: Objects
) -> None:
    objects.create(kind.__name__, "full", spec)
    written = objects.write_status(kind.__name__, "full", status.to_dict())
    assert written["status"] == status.to_dict()
    assert type(status).model_validate(written["status"]) == status


@pytest.mark.parametrize(("kind", "spec", "status"), CASES)
def test_the_full_status_above_leaves_no_field_out(kind: type[Kind], spec: dict[str, object], status: Status) -> None:
    assert spec
    for path, node in walk(schema(kind)["properties"]["status"]):
        seen: list[object] = [status.to_dict()]
        for step in filter(None, path.replace("[]", ".[]").split(".")):
            seen = (
                [item for at in seen if isinstance(at, list) for item in at]
                if step == "[]"
                else [at[step] for at in seen if isinstance(at, dict) and step in at]
            )
        assert seen, f"{path} ({node['description']})"
