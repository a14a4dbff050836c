"""The events that Secrets Manager sends to EventBridge, in the shapes that AWS documents.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-eventbridge.html
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .store import Secret

RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
SERVICE = "secretsmanager.amazonaws.com"
Deliver = Callable[..., None]


class EventBus:
    """Builds the envelopes, and hands them to EventBridge."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def label_updated(self, secret: Secret, label: str, version_id: str, at: datetime) -> None:
        """The native event: a label moved to another version."""
        detail = {"name": secret.name, "labelUpdated": label, "versionId": version_id}
        self._send(secret, "Secret Label Updated", detail, at, resources=[secret.arn])

    def service_event(self, secret: Secret, name: str, version_id: str, at: datetime, error: str | None = None) -> None:
        """The event by way of CloudTrail; its `resources` is empty, and the version is only in requestID."""
        detail = {
            "eventVersion": "1.08",
            "userIdentity": {"accountId": secret.account, "invokedBy": SERVICE},
            "eventTime": at.strftime(RFC3339),
            "eventSource": SERVICE,
            "eventName": name,
            "awsRegion": secret.region,
            "sourceIPAddress": SERVICE,
            "userAgent": SERVICE,
            "requestParameters": None,
            "responseElements": None,
            "additionalEventData": {"SecretId": secret.arn},
            "requestID": f"Rotation-{secret.arn}-{version_id}",
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsServiceEvent",
            "managementEvent": True,
            "recipientAccountId": secret.account,
            "eventCategory": "Management",
        }
        if error is not None:
            detail["errorMessage"] = error
        self._send(secret, "AWS Service Event via CloudTrail", detail, at, resources=[])

    def _send(self, secret: Secret, kind: str, detail: dict[str, Any], at: datetime, *, resources: list[str]) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": "aws.secretsmanager",
            "account": secret.account,
            "time": at.strftime(RFC3339),
            "region": secret.region,
            "resources": resources,
            "detail": detail,
        }
        self._deliver(event, account=secret.account, region=secret.region)
