"""A rotation function without a back end: AWS's four steps, with a new random password. Its zip is built here."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from keyturn_lab.aws import Aws

HANDLER = "rotator.handler"

SOURCE = """
import json, secrets
import boto3

def handler(event, context):
    client = boto3.client("secretsmanager")
    arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = client.describe_secret(SecretId=arn)["VersionIdsToStages"]
    if "AWSCURRENT" in stages.get(token, []):
        return
    if step == "createSecret":
        current = json.loads(client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"])
        try:
            client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            pending = json.dumps(current | {"password": secrets.token_hex(12)})
            client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=pending, VersionStages=["AWSPENDING"])
    elif step == "finishSecret":
        holder = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        client.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=holder
        )
"""


def build(directory: Path) -> Path:
    """Write the zip into a directory."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("rotator.py", SOURCE)
    path = directory / "rotator.zip"
    path.write_bytes(content.getvalue())
    return path


def register(aws: Aws, name: str, directory: Path, *, seconds: int = 20) -> str:
    """A function of that name in the lab's AWS, with so much time for a step; its zip is written into the directory. Its ARN."""
    return aws.register_function(name, build(directory), handler=HANDLER, timeout=seconds)
