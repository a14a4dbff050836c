"""A SAM template deployed to the lab's AWS, as `sam deploy` does it: the zip goes to S3, AWS's own translator makes it CloudFormation.

CloudFormation is moto's. It knows no AWS::CloudWatch::Alarm, and of a function it leaves out the dead-letter queue, the log group, the
architecture and the tags; a list keeps a gap where AWS::NoValue stood. What it leaves out is seen in `Stack.made`: the translated template
with everything computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from tests.support.cloudformation import Template, document

from keyturn_lab.aws import TEST_KEY, Aws

ACCOUNT = "123456789012"
BUCKET = "deployments"
PATIENCE = 300  # seconds for one answer


class Stack:
    """One stack; `parameters` are texts, as the command line gives them."""

    def __init__(self, aws: Aws, name: str, template: Path, *, code: bytes, parameters: Mapping[str, str]) -> None:
        self._aws, self.name = aws, name
        self._upload(code)
        self.template = self._translated(template, parameters)
        cloudformation = self._client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(self.template),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        [found] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        self.status: str = found["StackStatus"]
        self.outputs: dict[str, str] = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}
        self._parameters = {key: self._value(key, value) for key, value in parameters.items()}

    def made(self, resource: str) -> dict[str, Any]:
        """The properties that CloudFormation was told."""
        arns = {"Function": "FunctionArn", "Role": "RoleArn", "DeadLetters": "DeadLetterQueueArn"}
        attributes = {f"{name}.Arn": self.outputs[output] for name, output in arns.items()}
        found = Template(self.template, attributes=attributes, pseudo={"AWS::AccountId": ACCOUNT}, **self._parameters)
        return found.properties(resource)

    def delete(self) -> None:
        """Take it all away."""
        self._client("cloudformation").delete_stack(StackName=self.name)

    def _client(self, service: str) -> Any:
        """A patient one: with the first request for either service moto imports half of itself, which takes long on a busy machine."""
        session = boto3.Session(aws_access_key_id=TEST_KEY, aws_secret_access_key="lab", region_name=self._aws.region)
        make: Callable[..., Any] = session.client
        patient = Config(read_timeout=PATIENCE, retries={"total_max_attempts": 1}, proxies={})
        return make(service, endpoint_url=self._aws.url, config=patient)

    def _upload(self, code: bytes) -> None:
        s3 = self._client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": self._aws.region})
        s3.put_object(Bucket=BUCKET, Key=self.name, Body=code)

    def _translated(self, path: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
        source = document(path)
        for resource in source["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["CodeUri"] = f"s3://{BUCKET}/{self.name}"
        session = boto3.Session(region_name=self._aws.region)
        made: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(
            sam_template=source, parameter_values=dict(parameters)
        )
        return made

    def _value(self, name: str, value: str) -> Any:
        return value.split(",") if self.template["Parameters"][name]["Type"] == "CommaDelimitedList" else value
