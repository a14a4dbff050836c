"""RotateSecret and CancelRotateSecret as on AWS (reference page, sections 1.4, 1.5, 3 and 8), with a function that runs for real."""

import json
from pathlib import Path
from typing import Any

import pytest

from keyturn_lab.aws import Aws

from .conftest import install_rotator
from .support import Events, eventually, make, put, refused, stages, token, value

RULES: Any = {"ScheduleExpression": "rate(30 days)", "Duration": "4h"}


def rotate(aws: Aws, name: str, **options: Any) -> str:
    """Rotate and wait for the promotion; the new version."""
    version = aws.client("secretsmanager").rotate_secret(SecretId=name, ClientRequestToken=token(), **options)["VersionId"]
    aws.wait_for_rotation(name, version)
    eventually(lambda: "LastRotatedDate" in aws.client("secretsmanager").describe_secret(SecretId=name))
    return version


def strand(aws: Aws, name: str, rotator: str, step: str) -> str:
    """Start a rotation whose every attempt fails before `step`; wait until AWS has given up. The pending version."""
    events = Events(aws, name)
    with aws.faults.on("lambda-fail", step=step):
        version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=token())[
            "VersionId"
        ]
        eventually(lambda: events.names().count("RotationFailed") == 3)
    return version


def test_a_rotation_replaces_the_value_and_moves_the_labels(aws: Aws, rotator: str, name: str) -> None:
    first = make(aws, name)
    second = rotate(aws, name, RotationLambdaARN=rotator, RotationRules=RULES)
    assert stages(aws, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}
    assert json.loads(value(aws, name))["password"] != "first"
    assert json.loads(value(aws, name))["username"] == "app"


def test_the_token_becomes_the_version(aws: Aws, rotator: str, name: str) -> None:
    """API_RotateSecret, ClientRequestToken; compared verbatim (upper-case UUIDs have been seen)."""
    make(aws, name)
    chosen = token().upper()
    aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=chosen)
    aws.wait_for_rotation(name, chosen)


def test_a_second_rotation_needs_no_configuration(aws: Aws, rotator: str, name: str) -> None:
    """Rows 3 and 6: AWSPENDING beside AWSCURRENT is no rotation in progress, and the Lambda is remembered (recorded 2025-03)."""
    make(aws, name)
    second = rotate(aws, name, RotationLambdaARN=rotator, RotationRules=RULES)
    third = rotate(aws, name)
    assert stages(aws, name) == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT", "AWSPENDING"]}
    described = aws.client("secretsmanager").describe_secret(SecretId=name)
    assert described["RotationLambdaARN"] == rotator
    assert described["RotationRules"] == {**RULES, "AutomaticallyAfterDays": 30}


def test_a_rotation_while_one_is_in_progress_is_refused(aws: Aws, rotator: str, name: str) -> None:
    """Row 2. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html"""
    make(aws, name)
    stuck = strand(aws, name, rotator, "createSecret")
    with refused("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted."):
        aws.client("secretsmanager").rotate_secret(SecretId=name)
    assert stages(aws, name)[stuck] == ["AWSPENDING"]


def test_a_rotation_without_any_function_is_refused(aws: Aws, name: str) -> None:
    """Row 4, recorded 2022-2025."""
    first = make(aws, name)
    with refused("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."):
        aws.client("secretsmanager").rotate_secret(SecretId=name)
    assert stages(aws, name) == {first: ["AWSCURRENT"]}


def test_an_unknown_function_is_denied_and_nothing_is_stored(aws: Aws, rotator: str, name: str) -> None:
    """Row 5, recorded 2024-03-15."""
    first = make(aws, name)
    secrets = aws.client("secretsmanager")
    with refused("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function."):
        secrets.rotate_secret(SecretId=name, RotationLambdaARN=rotator + "-nobody", RotationRules=RULES)
    described = secrets.describe_secret(SecretId=name)
    assert not [field for field in described if field.startswith("Rotation")]
    assert stages(aws, name) == {first: ["AWSCURRENT"]}


def test_a_function_that_does_not_trust_secrets_manager_is_denied(aws: Aws, tmp_path: Path, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_turn-on-cli.html"""
    make(aws, name)
    function = install_rotator(aws, tmp_path, f"untrusting-{token()}", trusted=False)
    with refused("AccessDeniedException", "Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com."):
        aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=function)


def test_a_permission_for_another_secret_does_not_serve(aws: Aws, tmp_path: Path, name: str) -> None:
    """Reference page 3.5: SourceArn is compared as ArnLike."""
    make(aws, name)
    function_name = f"narrow-{token()}"
    function = install_rotator(aws, tmp_path, function_name, trusted=False)
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    permit: Any = {"FunctionName": function_name, "Action": "lambda:InvokeFunction", "Principal": "secretsmanager.amazonaws.com"}
    aws.client("lambda").add_permission(StatementId="other", SourceArn=arn.replace("test/", "prod/"), **permit)
    with refused("AccessDeniedException"):
        aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=function)
    aws.client("lambda").add_permission(StatementId="this", SourceArn=arn[:-6] + "*", **permit)
    rotate(aws, name, RotationLambdaARN=function)


def test_the_call_is_answered_before_the_rotation_is_done(aws: Aws, rotator: str, name: str) -> None:
    """Row 10: asynchronous. The pending version exists before it has a value."""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    with aws.faults.on("lambda-hang", step="createSecret", seconds=2):
        version = secrets.rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=token())["VersionId"]
        assert stages(aws, name)[version] == ["AWSPENDING"]
        with refused("ResourceNotFoundException", "can't find the specified secret value"):
            secrets.get_secret_value(SecretId=name, VersionId=version, VersionStage="AWSPENDING")
        assert version not in [listed["VersionId"] for listed in secrets.list_secret_version_ids(SecretId=name)["Versions"]]
    aws.wait_for_rotation(name, version)


def test_the_same_token_again_is_the_same_rotation(aws: Aws, rotator: str, name: str) -> None:
    """API_RotateSecret: idempotent by token, while it runs and after."""
    make(aws, name)
    secrets, again = aws.client("secretsmanager"), token()
    for _ in range(2):
        assert secrets.rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=again)["VersionId"] == again
    aws.wait_for_rotation(name, again)
    assert secrets.rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=again)["VersionId"] == again
    assert len(stages(aws, name)) == 2


def test_the_function_gets_the_full_arn_and_a_rotation_token_in_all_four_steps(aws: Aws, tmp_path: Path, name: str) -> None:
    """Row 11; the event of reference page 3.2. The function prints the step and whether there is a rotation token."""
    make(aws, name)
    function_name = f"steps-{token()}"
    rotate(aws, name, RotationLambdaARN=install_rotator(aws, tmp_path, function_name))
    calls = aws.invocations(function_name)
    assert [call.step for call in calls] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert all(call.output == f"{call.step} with a rotation token\n" for call in calls)


def test_a_failing_sequence_is_run_again_as_a_whole_and_may_then_succeed(aws: Aws, tmp_path: Path, name: str) -> None:
    """Reference page 3.1: retried "multiple times", with the same pending version."""
    make(aws, name)
    function_name = f"retried-{token()}"
    events = Events(aws, name)
    with aws.faults.on("lambda-fail", action=function_name, step="testSecret", calls=1):
        rotate(aws, name, RotationLambdaARN=install_rotator(aws, tmp_path, function_name))
    events.wait_for("RotationSucceeded")
    once = ["createSecret", "setSecret", "testSecret"]
    assert [call.step for call in aws.invocations(function_name)] == [*once, *once, "finishSecret"]


@pytest.mark.parametrize(
    ("step", "has_value"), [("createSecret", False), ("setSecret", True), ("testSecret", True), ("finishSecret", True)]
)
def test_what_a_failure_leaves_behind(aws: Aws, rotator: str, name: str, step: str, has_value: bool) -> None:
    """The table of reference page 3.3."""
    first = make(aws, name)
    stuck = strand(aws, name, rotator, step)
    assert stages(aws, name) == {first: ["AWSCURRENT"], stuck: ["AWSPENDING"]}
    assert "LastRotatedDate" not in aws.client("secretsmanager").describe_secret(SecretId=name)
    listed = aws.client("secretsmanager").list_secret_version_ids(SecretId=name)["Versions"]
    assert (stuck in [version["VersionId"] for version in listed]) is has_value


def test_taking_awspending_off_frees_a_stuck_rotation(aws: Aws, rotator: str, name: str) -> None:
    """The recovery of reference page 3.3, step 3."""
    make(aws, name)
    stuck = strand(aws, name, rotator, "createSecret")
    aws.client("secretsmanager").update_secret_version_stage(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=stuck)
    rotate(aws, name)


def test_a_foreign_hand_may_promote_the_pending_version_of_a_stuck_rotation(aws: Aws, rotator: str, name: str) -> None:
    """The recovery of reference page 3.3, step 4."""
    first = make(aws, name)
    stuck = strand(aws, name, rotator, "finishSecret")
    aws.client("secretsmanager").update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=stuck, RemoveFromVersionId=first
    )
    assert stages(aws, name) == {first: ["AWSPREVIOUS"], stuck: ["AWSCURRENT", "AWSPENDING"]}
    rotate(aws, name)


def test_a_value_stored_meanwhile_abandons_the_rotation(aws: Aws, rotator: str, name: str) -> None:
    """Row 19. https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html"""
    first = make(aws, name)
    strand(aws, name, rotator, "setSecret")
    events = Events(aws, name)
    second = put(aws, name, "by hand")
    assert stages(aws, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    events.wait_for("RotationAbandoned")


def test_a_pending_value_that_the_function_did_not_write_fails_the_rotation(aws: Aws, rotator: str, name: str) -> None:
    """Row 19. https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot_rotation.html"""
    make(aws, name)
    events = Events(aws, name)
    chosen = token()
    with aws.faults.on("lambda-hang", step="createSecret", seconds=0.5):
        aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=chosen)
        put(aws, name, "foreign", "AWSPENDING", version_id=chosen)
        failed = [event for event in events.wait_for("RotationFailed") if event["detail"].get("eventName") == "RotationFailed"]
    eventually(lambda: events.names().count("RotationFailed") == 3)
    texts = [event["detail"]["errorMessage"] for event in events.poll() if event["detail"].get("eventName") == "RotationFailed"]
    assert failed
    assert f"Pending secret version {chosen}" in texts[-1]
    assert "was not created by Lambda" in texts[-1]


def test_awspending_goes_with_the_promotion_when_the_lab_is_told_so(aws: Aws, rotator: str, name: str) -> None:
    """Documentation and recording disagree (reference page 1.10); the lab can do both."""
    first = make(aws, name)
    aws.configure(keep_pending=False)
    try:
        second = rotate(aws, name, RotationLambdaARN=rotator)
    finally:
        aws.configure(keep_pending=True)
    assert stages(aws, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_a_test_rotation_runs_one_step_and_leaves_nothing(aws: Aws, tmp_path: Path, name: str) -> None:
    """Row 13; RotateImmediately in API_RotateSecret."""
    first = make(aws, name)
    function_name = f"tested-{token()}"
    events = Events(aws, name)
    aws.client("secretsmanager").rotate_secret(
        SecretId=name, RotationLambdaARN=install_rotator(aws, tmp_path, function_name), RotationRules=RULES, RotateImmediately=False
    )
    events.wait_for("TestRotationStarted", "TestRotationSucceeded")
    assert stages(aws, name) == {first: ["AWSCURRENT"]}
    versions = aws.client("secretsmanager").list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert [version["VersionId"] for version in versions] == [first]
    assert [call.step for call in aws.invocations(function_name)] == ["testSecret"]
    described = aws.client("secretsmanager").describe_secret(SecretId=name)
    assert described["RotationEnabled"] is True
    assert "NextRotationDate" in described
    assert "LastRotatedDate" not in described


def test_a_cancelled_rotation_keeps_its_label_and_its_configuration(aws: Aws, rotator: str, name: str) -> None:
    """Row 14; reference page 1.5: cancelling alone frees nothing."""
    make(aws, name)
    stuck = strand(aws, name, rotator, "setSecret")
    secrets = aws.client("secretsmanager")
    assert secrets.cancel_rotate_secret(SecretId=name)["VersionId"] == stuck
    described = secrets.describe_secret(SecretId=name)
    assert (described["RotationEnabled"], described["RotationLambdaARN"]) == (False, rotator)
    assert "NextRotationDate" not in described
    assert stages(aws, name)[stuck] == ["AWSPENDING"]


def test_a_rotation_that_is_cancelled_in_flight_is_not_carried_on(aws: Aws, tmp_path: Path, name: str) -> None:
    """The templates check RotationEnabled at each step (reference page 3.2). A later rotation shows that nothing more came of the first."""
    first = make(aws, name)
    make(aws, f"{name}/later")
    function_name = f"cancelled-{token()}"
    function = install_rotator(aws, tmp_path, function_name)
    secrets, events = aws.client("secretsmanager"), Events(aws, name)
    with aws.faults.on("lambda-hang", action=function_name, step="setSecret", seconds=1, after=True):
        version = secrets.rotate_secret(SecretId=name, RotationLambdaARN=function, ClientRequestToken=token())["VersionId"]
        eventually(lambda: version in [listed["VersionId"] for listed in secrets.list_secret_version_ids(SecretId=name)["Versions"]])
        secrets.cancel_rotate_secret(SecretId=name)
        eventually(lambda: [call for call in aws.invocations(function_name) if call.step == "setSecret"])
    rotate(aws, f"{name}/later", RotationLambdaARN=function)
    assert stages(aws, name) == {first: ["AWSCURRENT"], version: ["AWSPENDING"]}
    assert events.names() == ["RotationStarted"]


def test_cancelling_what_was_never_configured_is_refused(aws: Aws, name: str) -> None:
    make(aws, name)
    with refused("InvalidRequestException"):
        aws.client("secretsmanager").cancel_rotate_secret(SecretId=name)


@pytest.mark.parametrize("rules", [{"ScheduleExpression": "banana"}, {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}])
def test_a_bad_schedule_is_refused_and_nothing_is_stored(aws: Aws, rotator: str, name: str, rules: Any) -> None:
    """Row 7."""
    first = make(aws, name)
    with refused("InvalidParameterException"):
        aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, RotationRules=rules)
    assert "RotationEnabled" not in aws.client("secretsmanager").describe_secret(SecretId=name)
    assert stages(aws, name) == {first: ["AWSCURRENT"]}
