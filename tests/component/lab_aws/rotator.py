"""A rotation function with AWS's four steps and no back end: the lab's tests zip this very file and run it as a Lambda.

It behaves as the templates of AWS do. An event without a step makes it raise, exit, sleep, or tell what it knows of itself.
"""

import json
import os
import time
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One step. Anything that is not a step is answered with what the function knows of itself."""
    if "Step" not in event:
        return _about(event, context)
    secrets = boto3.client("secretsmanager")
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    print(f"{step} {event['RotationToken'] and 'with a rotation token'}")
    described = secrets.describe_secret(SecretId=arn)
    if not described.get("RotationEnabled"):
        raise ValueError("rotation is not enabled")
    stages = described["VersionIdsToStages"]
    if token not in stages:
        raise ValueError("the version has no labels")
    if "AWSCURRENT" in stages[token]:
        return {}
    if "AWSPENDING" not in stages[token]:
        raise ValueError("the version is not pending")
    STEPS[step](secrets, arn, token, stages)
    return {}


def _about(event: dict[str, Any], context: Any) -> dict[str, Any]:
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        os._exit(event["exit"])
    time.sleep(event.get("sleep", 0))
    return {
        "greeting": os.environ.get("GREETING"),
        "pid": os.getpid(),
        "function": context.function_name,
        "left": context.get_remaining_time_in_millis(),
        "identity": boto3.client("sts").get_caller_identity()["Arn"],
    }


def _create(secrets: Any, arn: str, token: str, stages: dict[str, list[str]]) -> None:
    current = json.loads(secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"])
    try:
        secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
    except secrets.exceptions.ResourceNotFoundException:
        current["password"] = secrets.get_random_password(ExcludePunctuation=True)["RandomPassword"]
        secrets.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(current), VersionStages=["AWSPENDING"])


def _check(secrets: Any, arn: str, token: str, stages: dict[str, list[str]]) -> None:
    secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")


def _finish(secrets: Any, arn: str, token: str, stages: dict[str, list[str]]) -> None:
    holder = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=holder)


STEPS = {"createSecret": _create, "setSecret": _check, "testSecret": _check, "finishSecret": _finish}
