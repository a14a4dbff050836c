"""What the contract tests of the lab's AWS share: tokens, secrets, refusals, and waiting."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError
from tests.support.eventually import WITHIN, wait_until

from keyturn_lab.aws import Aws

T = TypeVar("T")


def token() -> str:
    """A new ClientRequestToken."""
    return str(uuid.uuid4())


def make(aws: Aws, name: str, password: str = "first") -> str:
    """A secret with a value; its first version's id."""
    made = aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps({"username": "app", "password": password}))
    return made["VersionId"]


def put(aws: Aws, name: str, value: str, *stages: str, version_id: str | None = None) -> str:
    """A further version; its id."""
    version_id = version_id or token()
    extra: dict[str, Any] = {"VersionStages": list(stages)} if stages else {}
    aws.client("secretsmanager").put_secret_value(SecretId=name, SecretString=value, ClientRequestToken=version_id, **extra)
    return version_id


def stages(aws: Aws, name: str) -> dict[str, list[str]]:
    """VersionIdsToStages."""
    return {
        version: sorted(labels)
        for version, labels in aws.client("secretsmanager").describe_secret(SecretId=name)["VersionIdsToStages"].items()
    }


def value(aws: Aws, name: str) -> str:
    """The current value, by a call that names no label."""
    return aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]


@contextmanager
def refused(code: str, message: str = "") -> Iterator[None]:
    """The block must be refused by AWS with this code, and this text in the message."""
    with pytest.raises(ClientError) as refusal:
        yield
    error = refusal.value.response["Error"]
    assert error["Code"] == code
    assert message in error["Message"]


def eventually(look: Callable[[], T], *, seconds: float = WITHIN) -> T:
    """What `look` sees as soon as it is something; the test fails if it stays nothing."""
    return wait_until(look, timeout=seconds, what="what was looked for")


class Events:
    """A queue that an EventBridge rule fills with the events of one secret."""

    def __init__(self, aws: Aws, secret: str, pattern: dict[str, Any] | None = None) -> None:
        self._sqs, self._secret, self.received = aws.client("sqs"), secret, list[dict[str, Any]]()
        unique = f"q{uuid.uuid4().hex}"
        self._url = self._sqs.create_queue(QueueName=unique)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events = aws.client("events")
        events.put_rule(Name=unique, EventPattern=json.dumps(pattern or {"source": ["aws.secretsmanager"]}))
        events.put_targets(Rule=unique, Targets=[{"Id": "queue", "Arn": arn}])

    def names(self) -> list[str]:
        """The events so far: `eventName`, or the label that the native event tells of."""
        return [event["detail"].get("eventName") or event["detail"]["labelUpdated"] for event in self.poll()]

    def poll(self) -> list[dict[str, Any]]:
        """All events of the secret so far, oldest first."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self.received.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self.received if f":secret:{self._secret}-" in json.dumps(event)]

    def wait_for(self, *names: str) -> list[dict[str, Any]]:
        """Until events of all these names have come; all events so far."""
        eventually(lambda: set(names) <= set(self.names()))
        return self.poll()
