"""The models read what the API server stores and write what it takes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from keyturn.api import (
    ClusterAWSConnection,
    Condition,
    ConflictPolicy,
    DeletionPolicy,
    KeyMapping,
    ObjectMeta,
    OnChange,
    RotatingSecret,
    RotatingSecretSpec,
    RotationRun,
    RunVersions,
    Step,
    Suspend,
    Target,
    WorkloadRule,
    duration,
    rfc3339,
)

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def secret(**spec: Any) -> RotatingSecret:
    return RotatingSecret.model_validate({"metadata": {"name": "orders-db", "namespace": "shop"}, "spec": {"secretId": "a/b"} | spec})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1h2m3s", timedelta(hours=1, minutes=2, seconds=3)),
        ("30d", timedelta(days=30)),
        ("24000h", timedelta(days=1000)),
    ],
)
def test_a_duration_is_its_length(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "h", "1.5h", "-1m", "1m1h", "1d12h", "1w", " 1m", "1m\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration(text)


def test_the_smallest_object_has_the_defaults_of_the_design() -> None:
    spec = secret().spec
    assert (spec.connection_ref.kind, spec.connection_ref.name) == ("ClusterAWSConnection", "default")
    assert (spec.suspend, spec.rotation, spec.history_limit) == (None, None, 10)
    assert (spec.target.type, spec.target.conflict, spec.target.keys) == ("Opaque", "Refuse", None)
    assert (spec.rollout.discovery, spec.rollout.timeout, spec.rollout.soak) == ("References", "10m", "0s")


def test_a_rotation_block_has_the_defaults_of_the_design() -> None:
    rotation = secret(rotation={"schedule": {"every": "30d"}}).spec.rotation
    assert rotation is not None
    assert rotation.schedule is not None
    assert (rotation.strategy, rotation.timeout, rotation.schedule.window) == ("Unknown", "15m", "1h")


def test_fields_of_a_newer_version_are_ignored() -> None:
    read = RotatingSecret.model_validate({"spec": {"secretId": "a", "retirement": {"policy": "Never"}}, "status": {"new": 1}, "more": 2})
    assert read == RotatingSecret.model_validate({"spec": {"secretId": "a"}})


def test_a_model_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        secret().spec.history_limit = 3  # type: ignore[misc]  # what is forbidden is what is tested


def test_what_is_read_is_written_back_the_same() -> None:
    body = {"from": "password", "to": "DB_PASSWORD"}
    assert KeyMapping.model_validate(body).to_dict() == body
    assert RunVersions(from_="v1", to="v2").to_dict() == {"from": "v1", "to": "v2"}


def test_what_is_not_set_is_not_written() -> None:
    written = RotatingSecretSpec(secret_id="a/b").to_dict()
    assert "rotation" not in written
    assert "name" not in written["target"]


def test_a_manifest_has_no_status_and_nothing_that_only_the_api_server_sets() -> None:
    assert secret().manifest()["metadata"] == {"name": "orders-db", "namespace": "shop"}
    assert "status" not in secret().manifest()


def test_metadata_is_read_as_the_api_server_writes_it() -> None:
    meta = ObjectMeta.model_validate(
        {"name": "a", "uid": "u", "resourceVersion": "7", "generation": 2, "creationTimestamp": "2026-11-21T12:00:00Z", "managedFields": []}
    )
    assert (meta.resource_version, meta.generation, meta.creation_timestamp) == ("7", 2, NOON)


def test_times_are_written_in_utc_and_whole_seconds() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1))) + timedelta(microseconds=7)
    assert rfc3339(berlin) == "2026-11-21T12:00:00Z"
    assert Step(name="Rotate", state="Running", start_time=berlin).to_dict()["startTime"] == "2026-11-21T12:00:00Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Step.model_validate({"name": "Rotate", "state": "Running", "startTime": "2026-11-21T12:00:00"})


def test_a_message_that_is_too_long_is_cut_and_never_an_error() -> None:
    step = Step(name="Rotate", state="Failed", message="x" * 5000)
    assert step.message is not None
    assert len(step.message) == 1024
    assert step.message.endswith("…")
    condition = Condition(type="Ready", status="False", last_transition_time=NOON, reason="TooLong", message="x" * 50_000)
    assert len(condition.message) == 32_768


@pytest.mark.parametrize(
    ("conflict", "deletion", "retained"),
    [
        (ConflictPolicy.REFUSE, None, False),
        (ConflictPolicy.REFUSE, DeletionPolicy.DELETE, False),
        (ConflictPolicy.REFUSE, DeletionPolicy.RETAIN, True),
        (ConflictPolicy.ADOPT, None, True),
    ],
)
def test_adopting_implies_retaining(conflict: ConflictPolicy, deletion: DeletionPolicy | None, retained: bool) -> None:
    assert Target(conflict=conflict, deletion=deletion).retained is retained


@pytest.mark.parametrize(("target", "name"), [({}, "orders-db"), ({"name": "other"}, "other")])
def test_the_secret_is_called_like_the_object_unless_it_has_a_name(target: dict[str, str], name: str) -> None:
    assert secret(target=target).target_name == name


def test_a_workload_rule_says_on_change_on_the_wire_because_yaml_reads_on_as_true() -> None:
    rule = WorkloadRule.model_validate({"kind": "Deployment", "name": "api", "onChange": "External"})
    assert rule.on is OnChange.EXTERNAL
    assert rule.to_dict()["onChange"] == "External"


def test_suspend_is_one_of_two_or_absent() -> None:
    assert secret(suspend="Everything").spec.suspend is Suspend.EVERYTHING
    with pytest.raises(ValidationError):
        secret(suspend="Sometimes")


def test_a_run_and_a_connection_are_read_without_a_status() -> None:
    assert RotationRun.model_validate({"spec": {"secretRef": {"name": "a"}}}).status.steps == []
    assert ClusterAWSConnection.model_validate({"spec": {"region": "eu-west-1"}}).spec.allow == []


def test_importing_the_models_brings_in_neither_kubernetes_nor_yaml() -> None:
    heavy = "{'kubernetes', 'kopf', 'boto3', 'aiohttp', 'yaml', 'keyturn.api.crd', 'keyturn.api.structural'}"
    code = f"import sys, keyturn.api; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
