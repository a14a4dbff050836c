"""The lab's AWS as a thing of its own: start, end, attach, count, reset."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keyturn_lab.aws import CLIENT_KEY, TEST_KEY, Aws, LabError

from .conftest import install_rotator
from .support import make, refused, stages, token, value


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


def test_two_labs_know_nothing_of_each_other(aws: Aws, name: str) -> None:
    make(aws, name)
    with Aws() as other:
        assert other.url != aws.url
        with refused("ResourceNotFoundException"):
            value(other, name)


def test_a_lab_that_ends_takes_its_functions_and_its_directory_with_it(tmp_path: Path) -> None:
    with Aws() as ending:
        install_rotator(ending, tmp_path, "rotator")
        answer = ending.client("lambda").invoke(FunctionName="rotator", Payload=b"{}")["Payload"].read()
        pid = int(answer.split(b'"pid": ')[1].split(b",")[0])
        url, directory = ending.url, Path(ending.directory)
        assert directory.is_dir()
        os.kill(pid, 0)
    assert not listens(url)
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_lab_outside_its_context_says_so() -> None:
    with pytest.raises(LabError, match="context manager"):
        _ = Aws().url


def test_a_lab_that_cannot_start_shows_its_log(aws: Aws) -> None:
    taken = urlsplit(aws.url).port or 0
    with pytest.raises(LabError, match="did not start"), Aws(port=taken):
        pass


def test_another_process_can_attach(aws: Aws, name: str) -> None:
    make(aws, name)
    program = f"from keyturn_lab.aws import Aws\naws = Aws.attach({aws.url!r})\naws.backdate({name!r}, days=3)\nprint(aws.now().year)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 2026
    created = aws.client("secretsmanager").describe_secret(SecretId=name)["CreatedDate"]
    assert (aws.now() - created).days == 3


def test_a_child_with_the_environment_reaches_this_aws_and_its_calls_are_told_apart(aws: Aws, name: str) -> None:
    make(aws, name)
    aws.reset_calls()
    stages(aws, name)
    program = f"import boto3; print(boto3.client('secretsmanager').get_secret_value(SecretId={name!r})['Name'])"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **aws.environment}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == name
    assert aws.calls(of=CLIENT_KEY) == {"GetSecretValue": 1}
    assert aws.calls(of=TEST_KEY) == {"DescribeSecret": 1}
    assert aws.calls() == {"GetSecretValue": 1, "DescribeSecret": 1}


def test_calls_of_functions_are_counted_apart(aws: Aws, rotator: str, name: str) -> None:
    make(aws, name)
    aws.reset_calls()
    version = aws.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=rotator, ClientRequestToken=token())["VersionId"]
    aws.wait_for_rotation(name, version)
    assert aws.calls() == {"RotateSecret": 1}
    assert aws.calls(by_lambdas=True)["PutSecretValue"] == 1


def test_the_caller_is_who_sts_says(aws: Aws) -> None:
    identity = aws.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    role = aws.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="session")
    assert role["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/reader/session"


def test_a_reset_forgets_everything(tmp_path: Path, name: str) -> None:
    with Aws() as own:
        function = install_rotator(own, tmp_path, "rotator")
        make(own, name)
        version = own.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=function, ClientRequestToken=token())[
            "VersionId"
        ]
        own.wait_for_rotation(name, version)
        own.faults.set("deny")
        own.reset()
        assert own.client("secretsmanager").list_secrets()["SecretList"] == []
        assert own.client("lambda").list_functions()["Functions"] == []
        assert own.invocations() == []
        (tmp_path / "again").mkdir()
        again = install_rotator(own, tmp_path / "again", "rotator")
        make(own, name)
        version = own.client("secretsmanager").rotate_secret(SecretId=name, RotationLambdaARN=again, ClientRequestToken=token())[
            "VersionId"
        ]
        own.wait_for_rotation(name, version)


def test_a_control_verb_that_is_not_understood_is_an_error(aws: Aws) -> None:
    with pytest.raises(LabError, match="unexpected keyword"):
        aws.configure(no_such_setting=1)
    with pytest.raises(LabError, match="unexpected keyword"):
        aws.faults.set("throttle", no_such_option=1)


def test_values_do_not_show_in_the_labs_log(aws: Aws, name: str) -> None:
    make(aws, name, password="canary-in-the-log")
    value(aws, name)
    with refused("ValidationException"):
        aws.client("secretsmanager").create_secret(Name="bad name", SecretString="canary-in-the-log")
    written = [path for path in Path(aws.directory).rglob("*.log") if "canary-in-the-log" in path.read_text(errors="replace")]
    assert written == []
