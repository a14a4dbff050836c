"""The switches for faults, each seen through a client."""

import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from tests.support.eventually import WITHIN

from keyturn_lab.aws import TEST_KEY, Aws

from .conftest import install_rotator
from .support import Events, eventually, make, put, refused, stages, token, value


def test_the_next_calls_are_throttled_and_then_no_more(aws: Aws, name: str) -> None:
    make(aws, name)
    aws.faults.set("throttle", action="GetSecretValue", calls=2, secret=name)
    for _ in range(2):
        with refused("ThrottlingException", "Rate exceeded"):
            value(aws, name)
    assert value(aws, name)


def test_a_share_of_calls_is_throttled(aws: Aws, name: str) -> None:
    make(aws, name)
    outcomes = {True: 0, False: 0}
    with aws.faults.on("throttle", action="DescribeSecret", probability=0.5, secret=name):
        for _ in range(60):
            try:
                aws.client("secretsmanager").describe_secret(SecretId=name)
                outcomes[True] += 1
            except ClientError:
                outcomes[False] += 1
    assert min(outcomes.values()) > 5


def test_botocore_retries_throttling_by_itself(aws: Aws, name: str) -> None:
    """The lab's error is the one that clients know."""
    make(aws, name)
    keys: Any = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
    patient = boto3.client(
        "secretsmanager",
        endpoint_url=aws.url,
        region_name=aws.region,
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
        **keys,
    )
    aws.faults.set("throttle", action="GetSecretValue", calls=1, secret=name)
    assert patient.get_secret_value(SecretId=name)["ResponseMetadata"]["RetryAttempts"] == 1


def test_a_denial_names_caller_action_and_resource_as_aws_does(aws: Aws, name: str) -> None:
    make(aws, name)
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    me = aws.client("sts").get_caller_identity()["Arn"]
    with aws.faults.on("deny", action="GetSecretValue", secret=name):
        with refused("AccessDeniedException", f"User: {me} is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn}"):
            value(aws, name)
        assert stages(aws, name)
    assert value(aws, name)


def test_a_denial_may_meet_one_caller_only(aws: Aws, name: str) -> None:
    make(aws, name)
    with aws.faults.on("deny", secret=name, caller="somebody-else"):
        assert value(aws, name)
    with aws.faults.on("deny", secret=name, caller=TEST_KEY), refused("AccessDeniedException"):
        value(aws, name)


def test_a_fault_of_one_secret_is_found_by_any_of_its_names(aws: Aws, name: str) -> None:
    make(aws, name)
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    with aws.faults.on("error", secret=name):
        for known in (name, arn, arn[:-7]):
            with refused("InternalServiceError"):
                value(aws, known)


def test_a_server_error_has_its_status(aws: Aws, name: str) -> None:
    make(aws, name)
    with aws.faults.on("error", secret=name, status=503, code="ServiceUnavailable"), pytest.raises(ClientError) as refusal:
        value(aws, name)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_calls_take_their_time(aws: Aws, name: str) -> None:
    make(aws, name)
    with aws.faults.on("latency", action="GetSecretValue", seconds=0.4, secret=name):
        started = time.monotonic()
        value(aws, name)
    assert time.monotonic() - started >= 0.4


def test_a_call_that_hangs_meets_the_time_out_of_the_client(aws: Aws, name: str) -> None:
    make(aws, name)
    keys: Any = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
    hasty = boto3.client(
        "secretsmanager",
        endpoint_url=aws.url,
        region_name=aws.region,
        config=Config(read_timeout=0.3, retries={"total_max_attempts": 1}),
        **keys,
    )
    with aws.faults.on("hang", action="GetSecretValue", secret=name), pytest.raises(ReadTimeoutError):
        hasty.get_secret_value(SecretId=name)
    assert value(aws, name)


def test_what_hangs_goes_on_when_the_fault_is_cleared(aws: Aws, name: str) -> None:
    make(aws, name)
    fault = aws.faults.set("hang", action="GetSecretValue", secret=name)
    ended = threading.Event()

    def call() -> None:
        with pytest.raises(ClientError):
            value(aws, name)
        ended.set()

    caller = threading.Thread(target=call)
    caller.start()
    assert not ended.wait(0.3)
    aws.faults.clear(fault)
    assert ended.wait(WITHIN)
    caller.join()


def test_a_list_is_out_of_date_while_the_switch_is_on(aws: Aws, name: str) -> None:
    """API_ListSecrets: eventually consistent, up to five minutes; DescribeSecret is fresh."""
    first = make(aws, name)
    secrets = aws.client("secretsmanager")

    def listed() -> dict[str, dict[str, list[str]]]:
        entries = secrets.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]
        return {entry["Name"]: entry["SecretVersionsToStages"] for entry in entries}

    with aws.faults.on("stale-list"):
        second = put(aws, name, "second")
        make(aws, f"{name}/new")
        assert listed() == {name: {first: ["AWSCURRENT"]}}
        assert second in stages(aws, name)
    assert set(listed()) == {name, f"{name}/new"}


def test_reads_of_a_value_can_lag_behind_a_promotion(aws: Aws, name: str) -> None:
    """All operations are eventually consistent (reference page, section 1); DescribeSecret is fresh here."""
    first = make(aws, name)
    secrets = aws.client("secretsmanager")
    aws.faults.set("stale-read", secret=name, calls=2)
    second = put(aws, name, "second")
    assert stages(aws, name)[second] == ["AWSCURRENT"]
    stale = secrets.get_secret_value(SecretId=name)
    assert (stale["VersionId"], stale["VersionStages"]) == (first, ["AWSCURRENT"])
    assert secrets.batch_get_secret_value(SecretIdList=[name])["SecretValues"][0]["VersionId"] == first
    assert secrets.get_secret_value(SecretId=name)["VersionId"] == second


def test_a_denial_of_one_secret_is_an_entry_in_the_errors_of_a_batch(aws: Aws, name: str) -> None:
    """BatchGetSecretValue needs GetSecretValue for each secret (reference page 1.8)."""
    make(aws, name)
    make(aws, f"{name}/denied")
    with aws.faults.on("deny", action="GetSecretValue", secret=f"{name}/denied"):
        batch = aws.client("secretsmanager").batch_get_secret_value(SecretIdList=[name, f"{name}/denied"])
    assert [entry["Name"] for entry in batch["SecretValues"]] == [name]
    (error,) = batch["Errors"]
    assert error["ErrorCode"] == "AccessDeniedException"
    assert "is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager" in error["Message"]


def test_the_key_of_one_secret_can_be_switched_off(aws: Aws, name: str) -> None:
    make(aws, name)
    with aws.faults.on("kms-disabled", secret=name), refused("DecryptionFailure"):
        value(aws, name)


def test_a_step_can_fail_after_its_work_is_done(aws: Aws, tmp_path: Path, name: str) -> None:
    """The answer of finishSecret is lost: the label has moved, and the next attempt finds its work done (reference page 3.3)."""
    function_name = f"lost-{token()}"  # another test's rotation may still be at work on a function that all share
    function = install_rotator(aws, tmp_path, function_name)
    make(aws, name)
    events = Events(aws, name)
    with aws.faults.on("lambda-fail", action=function_name, step="finishSecret", after=True, calls=1):
        version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=function, ClientRequestToken=token())[
            "VersionId"
        ]
        events.wait_for("RotationFailed", "RotationSucceeded")
    assert "AWSCURRENT" in stages(aws, name)[version]


def test_a_step_that_hangs_runs_into_the_time_limit_of_its_function(aws: Aws, tmp_path: Path, name: str) -> None:
    function_name = f"hung-{token()}"
    function = install_rotator(aws, tmp_path, function_name)
    make(aws, name)
    with aws.faults.on("lambda-hang", action=function_name, step="setSecret", seconds=0.2, calls=1):
        version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=function, ClientRequestToken=token())[
            "VersionId"
        ]
        aws.wait_for_rotation(name, version)
    hung = eventually(lambda: [call for call in aws.invocations(function_name) if call.error_type == "Sandbox.Timedout"])
    assert "Task timed out after 30.00 seconds" in str(hung[-1].error)


def test_faults_meet_other_services_by_their_full_name(aws: Aws) -> None:
    with aws.faults.on("deny", action="sts:GetCallerIdentity"), refused("AccessDeniedException", "sts:GetCallerIdentity"):
        aws.client("sts").get_caller_identity()
    with aws.faults.on("throttle", action="sqs:ListQueues"), refused("ThrottlingException"):
        aws.client("sqs").list_queues()


def test_the_functions_of_the_lab_are_spared_unless_told(aws: Aws, rotator: str, name: str) -> None:
    make(aws, name)
    with aws.faults.on("deny", action="PutSecretValue", secret=name):
        version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=token())[
            "VersionId"
        ]
        aws.wait_for_rotation(name, version)
    events = Events(aws, name)
    with aws.faults.on("deny", action="PutSecretValue", secret=name, lambdas=True):
        eventually(lambda: "LastRotatedDate" in aws.client("secretsmanager").describe_secret(SecretId=name))
        aws.client("secretsmanager").rotate_secret(SecretId=name)
        events.wait_for("RotationFailed")


def test_what_is_on_can_be_listed_and_cleared(aws: Aws) -> None:
    fault = aws.faults.set("throttle", action="NoSuchAction", calls=3)
    assert (fault, 3) in [(known.fault_id, known.calls) for known in aws.faults.listed()]
    aws.faults.clear(fault)
    assert fault not in [known.fault_id for known in aws.faults.listed()]
