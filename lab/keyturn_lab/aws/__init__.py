"""The lab's AWS: a server that real clients talk to, with Secrets Manager's rotation as AWS does it.

    with Aws(region="eu-west-1") as aws:
        arn = aws.register_function("rotator", Path("rotator.zip"), handler="module.handler")
        aws.client("secretsmanager").create_secret(Name="orders", SecretString="...")

Secrets Manager is written for the lab, on pure rules for labels and schedules; STS, IAM, KMS, EventBridge, SQS and Lambda's configuration
are moto's. Nothing of it leaves loopback.
"""

from .client import CLIENT_KEY, TEST_KEY, Aws, FaultSwitches, LabError
from .faults import Fault, FaultKind
from .records import FunctionCall, Invocation
from .settings import Settings

__all__ = ["CLIENT_KEY", "TEST_KEY", "Aws", "Fault", "FaultKind", "FaultSwitches", "FunctionCall", "Invocation", "LabError", "Settings"]
