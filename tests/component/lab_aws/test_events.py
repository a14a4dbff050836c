"""The envelopes of EventBridge events (reference page, section 4; row 28), received through a rule and a queue."""

import json
from datetime import UTC, datetime
from typing import Any

from keyturn_lab.aws import Aws

from .support import Events, eventually, make, put, token

ACCOUNT = "123456789012"


def named(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(event for event in events if event["detail"].get("eventName") == name)


def test_the_native_event_tells_which_label_moved_to_which_version(aws: Aws, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-eventbridge.html"""
    make(aws, name)
    events = Events(aws, name)
    version = put(aws, name, "second")
    (event,) = events.wait_for("AWSCURRENT")
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    assert event.pop("id")
    assert abs((datetime.fromisoformat(event.pop("time")) - datetime.now(UTC)).total_seconds()) < 60
    assert event == {
        "version": "0",
        "detail-type": "Secret Label Updated",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "region": "eu-west-1",
        "resources": [arn],
        "detail": {"name": name, "labelUpdated": "AWSCURRENT", "versionId": version},
    }


def test_custom_labels_are_told_and_the_two_that_follow_by_themselves_are_not(aws: Aws, name: str) -> None:
    events = Events(aws, name)
    first = make(aws, name)
    put(aws, name, "second", "AWSPENDING")
    put(aws, name, "third", "AWSCURRENT", "BLUE")
    aws.client("secretsmanager").update_secret_version_stage(SecretId=name, VersionStage="GREEN", MoveToVersionId=first)
    assert [event["detail"]["labelUpdated"] for event in events.poll()] == ["AWSCURRENT", "AWSCURRENT", "BLUE", "GREEN"]


def test_changes_of_metadata_are_not_told(aws: Aws, name: str) -> None:
    make(aws, name)
    events = Events(aws, name)
    secrets = aws.client("secretsmanager")
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "b"}])
    secrets.update_secret(SecretId=name, Description="changed")
    put(aws, name, "sentinel")
    assert events.names() == ["AWSCURRENT"]


def test_a_rotation_is_told_as_service_events_and_as_a_moved_label(aws: Aws, rotator: str, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html"""
    make(aws, name)
    events = Events(aws, name)
    version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=token())["VersionId"]
    event = named(events.wait_for("RotationStarted", "AWSCURRENT", "RotationSucceeded"), "RotationSucceeded")
    arn = aws.client("secretsmanager").describe_secret(SecretId=name)["ARN"]
    assert (event["detail-type"], event["source"], event["account"]) == ("AWS Service Event via CloudTrail", "aws.secretsmanager", ACCOUNT)
    assert event["resources"] == []
    detail = event["detail"]
    assert detail["additionalEventData"] == {"SecretId": arn}
    assert detail["requestID"] == f"Rotation-{arn}-{version}"
    assert detail["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}
    assert (detail["eventType"], detail["recipientAccountId"], detail["awsRegion"]) == ("AwsServiceEvent", ACCOUNT, "eu-west-1")
    assert "errorMessage" not in detail


def test_a_failed_rotation_names_the_function_and_the_step(aws: Aws, rotator: str, name: str) -> None:
    make(aws, name)
    events = Events(aws, name)
    with aws.faults.on("lambda-fail", step="setSecret"):
        aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator)
        eventually(lambda: events.names().count("RotationFailed") == 3)
    failed = named(events.poll(), "RotationFailed")
    assert failed["detail"]["errorMessage"] == f"Error when executing lambda {rotator} during setSecret step"


def test_a_rule_sees_only_what_its_pattern_matches(aws: Aws, name: str) -> None:
    pattern = {"source": ["aws.secretsmanager"], "detail-type": ["Secret Label Updated"], "detail": {"name": [{"prefix": f"{name}/"}]}}
    other, own = Events(aws, name, pattern), Events(aws, f"{name}/own", pattern)
    make(aws, name)
    make(aws, f"{name}/own")
    assert own.names() == ["AWSCURRENT"]
    assert len(other.received) == 0
    assert [json.dumps(event) for event in other.poll() if event["detail"]["name"] == name] == []


def test_a_queue_that_is_gone_does_not_fail_the_call(aws: Aws, name: str) -> None:
    events = Events(aws, name)
    aws.client("sqs").delete_queue(QueueUrl=events._url)
    assert make(aws, name)
