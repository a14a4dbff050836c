"""Lambda functions: made with Lambda's API from a zip, and run for real."""

import base64
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

from keyturn_lab.aws import Aws

from .conftest import install_rotator
from .support import eventually, make, refused, token


def invoke(aws: Aws, function: str, event: Any, **options: Any) -> Any:
    return aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode(), **options)


def failure(aws: Aws, function: str, event: Any) -> dict[str, Any]:
    answer = invoke(aws, function, event)
    assert answer["FunctionError"] == "Unhandled"
    failed: dict[str, Any] = json.load(answer["Payload"])
    return failed


def packed(source: str, file: str = "program.py") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(file, source)
    return archive.getvalue()


def create(aws: Aws, tmp_path: Path, source: str, handler: str = "program.handler") -> str:
    """A function of one file; its name."""
    name = f"made-{token()}"
    (tmp_path / "code.zip").write_bytes(packed(source))
    aws.register_function(name, tmp_path / "code.zip", handler=handler, timeout=5)
    return name


def test_an_invocation_returns_what_the_handler_returns(aws: Aws, rotator: str) -> None:
    answer = invoke(aws, rotator, {})
    seen = json.load(answer["Payload"])
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert (seen["greeting"], seen["function"]) == ("hello", "rotator")
    assert 25_000 < seen["left"] <= 30_000


def test_a_function_acts_with_its_own_role(aws: Aws, rotator: str) -> None:
    seen = json.load(invoke(aws, rotator, {})["Payload"])
    assert seen["identity"] == "arn:aws:sts::123456789012:assumed-role/rotator-role/rotator"


def test_a_process_is_used_again(aws: Aws, rotator: str) -> None:
    pids = {json.load(invoke(aws, rotator, {})["Payload"])["pid"] for _ in range(3)}
    assert len(pids) == 1


def test_a_handler_that_raises_is_a_function_error_with_its_trace(aws: Aws, rotator: str) -> None:
    failed = failure(aws, rotator, {"raise": "no such user"})
    assert (failed["errorType"], failed["errorMessage"]) == ("ValueError", "no such user")
    assert any("rotator.py" in line for line in failed["stackTrace"])


def test_a_function_over_its_time_is_killed(aws: Aws, tmp_path: Path) -> None:
    name = f"slow-{token()}"
    install_rotator(aws, tmp_path, name, timeout=1)
    invoke(aws, name, {})
    started = time.monotonic()
    failed = failure(aws, name, {"sleep": 300})
    assert time.monotonic() - started < 200
    assert failed["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in failed["errorMessage"]
    eventually(lambda: json.load(invoke(aws, name, {})["Payload"]).get("greeting") == "hello")  # its start may take more than its time


def test_a_function_whose_process_ends_says_so(aws: Aws, rotator: str) -> None:
    failed = failure(aws, rotator, {"exit": 3})
    assert failed["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in failed["errorMessage"]


def test_the_zip_must_bring_what_the_function_imports(aws: Aws, tmp_path: Path) -> None:
    """Only boto3 and the standard library are there, as on AWS; what the tests themselves have installed is not."""
    name = create(aws, tmp_path, "import pytest\n\ndef handler(event, context):\n    return 1\n")
    failed = failure(aws, name, {})
    assert failed["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'pytest'" in failed["errorMessage"]


def test_a_missing_handler_is_named(aws: Aws, tmp_path: Path) -> None:
    name = create(aws, tmp_path, "x = 1\n")
    assert failure(aws, name, {})["errorType"] == "Runtime.HandlerNotFound"


def test_new_code_takes_effect(aws: Aws, tmp_path: Path) -> None:
    name = create(aws, tmp_path, "def handler(event, context):\n    return 'old'\n")
    assert json.load(invoke(aws, name, {})["Payload"]) == "old"
    aws.client("lambda").update_function_code(FunctionName=name, ZipFile=packed("def handler(event, context):\n    return 'new'\n"))
    assert json.load(invoke(aws, name, {})["Payload"]) == "new"


def test_an_address_of_aws_in_a_functions_environment_becomes_the_labs(aws: Aws, tmp_path: Path) -> None:
    """AWS's templates take SECRETS_MANAGER_ENDPOINT; nothing may leave loopback."""
    name = create(aws, tmp_path, "import os\n\ndef handler(event, context):\n    return os.environ['SECRETS_MANAGER_ENDPOINT']\n")
    environment = {"Variables": {"SECRETS_MANAGER_ENDPOINT": "https://secretsmanager.eu-west-1.amazonaws.com"}}
    aws.client("lambda").update_function_configuration(FunctionName=name, Environment=environment)  # type: ignore[arg-type]
    assert json.load(invoke(aws, name, {})["Payload"]) == aws.url


def test_the_log_keeps_step_outcome_and_output_but_not_the_event(aws: Aws, tmp_path: Path) -> None:
    name = create(aws, tmp_path, "def handler(event, context):\n    print('working')\n    return 1\n")
    answer = invoke(aws, name, {"Step": "retireSecret", "password": "canary"}, LogType="Tail")
    assert base64.b64decode(answer["LogResult"]) == b"working\n"
    (entry,) = aws.invocations(name)
    assert (entry.step, entry.failed, entry.output) == ("retireSecret", False, "working\n")
    assert "canary" not in json.dumps([entry.trace, entry.output, entry.payload, repr(entry)])


def test_unknown_functions_are_not_found(aws: Aws) -> None:
    with refused("ResourceNotFoundException", "Function not found"):
        invoke(aws, "nobody", {})


def test_a_dry_run_runs_nothing(aws: Aws, tmp_path: Path) -> None:
    name = create(aws, tmp_path, "def handler(event, context):\n    return 1\n")
    assert invoke(aws, name, {}, InvocationType="DryRun")["StatusCode"] == 204
    assert aws.invocations(name) == []


def test_an_event_is_accepted_before_it_is_worked_on(aws: Aws, tmp_path: Path) -> None:
    name = create(aws, tmp_path, "import time\n\ndef handler(event, context):\n    time.sleep(0.5)\n")
    assert invoke(aws, name, {}, InvocationType="Event")["StatusCode"] == 202
    assert aws.invocations(name) == []
    eventually(lambda: aws.invocations(name))


def test_a_function_does_not_read_the_aws_settings_of_whoever_runs_the_lab(aws: Aws, tmp_path: Path) -> None:
    """A profile with an endpoint of its own would lead the function out of the lab."""
    name = create(aws, tmp_path, "import os\n\ndef handler(event, context):\n    return os.environ['AWS_CONFIG_FILE']\n")
    assert json.load(invoke(aws, name, {})["Payload"]) == "/dev/null"


def test_rotations_of_several_secrets_run_side_by_side(aws: Aws, tmp_path: Path, name: str) -> None:
    """One slow rotation does not hold up the others of the same function."""
    function = install_rotator(aws, tmp_path, f"parallel-{token()}")
    versions = {}
    for number in range(6):
        make(aws, f"{name}/{number}")
        made = aws.client("secretsmanager").rotate_secret(
            SecretId=f"{name}/{number}", RotationLambdaARN=function, ClientRequestToken=token()
        )
        versions[f"{name}/{number}"] = made["VersionId"]
    for secret, version in versions.items():
        aws.wait_for_rotation(secret, version)
    eventually(lambda: all("LastRotatedDate" in aws.client("secretsmanager").describe_secret(SecretId=secret) for secret in versions))


def test_a_functions_dead_letter_queue_and_log_group_are_remembered_and_can_be_changed(aws: Aws, tmp_path: Path) -> None:
    functions = aws.client("lambda")
    queue = "arn:aws:sqs:eu-west-1:123456789012:dead"
    made = install_rotator(aws, tmp_path, f"kept-{token()[:8]}")
    role = functions.get_function(FunctionName=made)["Configuration"]["Role"]
    name = f"kept-{token()[:8]}"
    functions.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="program.handler",
        Code={"ZipFile": packed("handler = print")},
        DeadLetterConfig={"TargetArn": queue},
        LoggingConfig={"LogFormat": "Text", "LogGroup": "/rotators"},
    )
    told = functions.get_function_configuration(FunctionName=name)
    assert (told["DeadLetterConfig"], told["LoggingConfig"]["LogGroup"]) == ({"TargetArn": queue}, "/rotators")
    functions.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": f"{queue}-2"})
    assert functions.get_function_configuration(FunctionName=name)["DeadLetterConfig"] == {"TargetArn": f"{queue}-2"}


def test_what_a_function_called_is_told_with_the_secret_and_with_who_rotates_it(aws: Aws, rotator: str, name: str) -> None:
    make(aws, name)
    secrets = aws.client("secretsmanager")
    version = secrets.rotate_secret(SecretId=name, RotationLambdaARN=rotator, RotationRules={"AutomaticallyAfterDays": 30})["VersionId"]
    aws.wait_for_rotation(name, version)
    arn = secrets.describe_secret(SecretId=name)["ARN"]
    calls = [call for call in aws.function_calls() if call.resource == arn]
    assert {call.action.removeprefix("secretsmanager:") for call in calls} >= {"DescribeSecret", "GetSecretValue", "PutSecretValue"}
    assert {(call.function, call.rotation_lambda_arn, call.kms_key_id) for call in calls} == {(rotator, rotator, None)}
