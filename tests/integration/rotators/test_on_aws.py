"""Whole rotations by Secrets Manager of the lab, which runs the very zip that is shipped, in a process that has nothing else."""

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pg8000.exceptions import DatabaseError
from tests.integration.rotators.worlds import ADMIN_PASSWORD, PASSWORD
from tests.support.eventually import wait_until

from keyturn_lab.aws import Aws, Settings
from keyturn_lab.backends import Postgres
from keyturn_rotators.package import HANDLER, build

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws(settings=Settings(rotation_attempts=500)) as lab:
        yield lab


@pytest.fixture(scope="module")
def function(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = tmp_path_factory.mktemp("zip") / "rotator.zip"
    archive.write_bytes(build("postgres"))
    return aws.register_function("rotator", archive, handler=HANDLER)


class Secret:
    """A user of its own in PostgreSQL, and its secret in AWS with the superuser's."""

    def __init__(self, aws: Aws, pg: Postgres, function: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.aws, self.pg, self.user, self.function = aws, pg, f"buyer_{mark}", function
        pg.create_app_user(self.user, PASSWORD, database="bought")
        pg.create_admin(f"admin_{mark}", ADMIN_PASSWORD, rotates=(self.user,))
        self.superuser = self.manager.create_secret(
            Name=f"admin-{mark}", SecretString=json.dumps(pg.secret(f"admin_{mark}", ADMIN_PASSWORD))
        )
        value = pg.secret(self.user, PASSWORD, dbname="bought", masterarn=self.superuser["ARN"], team="shop")
        self.arn = self.manager.create_secret(Name=f"buyer-{mark}", SecretString=json.dumps(value))["ARN"]

    @property
    def manager(self) -> "SecretsManagerClient":
        return self.aws.client("secretsmanager")

    def rotate(self) -> str:
        """Start a rotation; returns its version."""
        rules = {"RotationLambdaARN": self.function, "RotationRules": {"AutomaticallyAfterDays": 30}}
        return self.manager.rotate_secret(SecretId=self.arn, **rules)["VersionId"]  # type: ignore[arg-type]  # a dict of both kinds

    def value(self) -> dict[str, str]:
        value: dict[str, str] = json.loads(self.manager.get_secret_value(SecretId=self.arn, VersionStage="AWSCURRENT")["SecretString"])
        return value

    def logs_in(self, value: dict[str, str]) -> bool:
        try:
            self.pg.execute("SELECT 1", user=value["username"], password=value["password"], database="bought")
        except DatabaseError:
            return False
        return True


@pytest.fixture
def secret(aws: Aws, pg: Postgres, function: str) -> Secret:
    return Secret(aws, pg, function)


def test_the_shipped_zip_rotates_two_users_in_turn(secret: Secret) -> None:
    users = []
    for _ in range(3):
        before = secret.value()
        secret.aws.wait_for_rotation(secret.arn, secret.rotate(), timeout=60)
        after = secret.value()
        users.append(after["username"])
        assert secret.logs_in(before)
        assert secret.logs_in(after)
        assert after["team"] == "shop"
    assert users == [f"{secret.user}_clone", secret.user, f"{secret.user}_clone"]


def test_one_rotation_costs_fewer_calls_than_awss_own_functions_make(secret: Secret) -> None:
    secret.aws.reset_calls()
    secret.aws.wait_for_rotation(secret.arn, secret.rotate(), timeout=60)
    calls = secret.aws.calls(by_lambdas=True)
    assert calls == {"DescribeSecret": 3, "GetSecretValue": 4 + 1, "PutSecretValue": 1, "UpdateSecretVersionStage": 1}


def test_a_refusal_fails_the_step_with_a_message_of_use_and_a_later_attempt_completes_it(secret: Secret) -> None:
    secret.pg.execute(f"ALTER ROLE {secret.user} CONNECTION LIMIT 0")
    version = secret.rotate()

    def failures() -> list[str]:
        told = [call.error or "" for call in secret.aws.invocations("rotator") if call.failed and call.step == "setSecret"]
        return [error for error in told if secret.arn in error]

    wait_until(failures, timeout=60, what="a failure")
    assert "connection limits" in failures()[0]
    secret.pg.execute(f"ALTER ROLE {secret.user} CONNECTION LIMIT -1")
    secret.aws.wait_for_rotation(secret.arn, version, timeout=60)
    assert secret.logs_in(secret.value())


def test_no_value_is_in_what_the_functions_print_answer_or_raise(secret: Secret) -> None:
    secrets = [secret.value()["password"]]
    for _ in range(2):
        secret.aws.wait_for_rotation(secret.arn, secret.rotate(), timeout=60)
        secrets.append(secret.value()["password"])
    said = "".join(f"{call.output}{call.payload}{call.error}{call.trace}" for call in secret.aws.invocations("rotator"))
    assert "createSecret" in said
    assert not [value for value in (*secrets, ADMIN_PASSWORD) if value in said]


def ask(secret: Secret, step: str, version: str) -> dict[str, object]:
    """Call the function as an operator does, and not by way of Secrets Manager. Its answer, or its error."""
    event = {"Step": step, "SecretId": secret.arn, "ClientRequestToken": version}
    answer = secret.aws.client("lambda").invoke(FunctionName=secret.function, Payload=json.dumps(event))
    told: dict[str, object] = json.loads(answer["Payload"].read())
    assert ("errorType" in told) == ("FunctionError" in answer)
    return told


def current_version(secret: Secret) -> str:
    return secret.manager.get_secret_value(SecretId=secret.arn)["VersionId"]


def test_the_old_credential_is_retired_and_restored_when_an_operator_asks_for_it(secret: Secret) -> None:
    before, version = secret.value(), current_version(secret)
    secret.aws.wait_for_rotation(secret.arn, secret.rotate(), timeout=60)
    assert secret.logs_in(before)
    assert ask(secret, "retireSecret", version) == {"step": "retireSecret", "result": "Done"}
    assert not secret.logs_in(before)
    assert secret.logs_in(secret.value())
    assert ask(secret, "restoreSecret", version) == {"step": "restoreSecret", "result": "Done"}
    assert secret.logs_in(before)


def test_a_refusal_to_retire_is_an_error_whose_first_word_says_where_to_look(secret: Secret) -> None:
    secret.aws.wait_for_rotation(secret.arn, secret.rotate(), timeout=60)
    told = ask(secret, "retireSecret", current_version(secret))
    assert told["errorType"] == "RotationError"
    assert str(told["errorMessage"]).startswith("policy: retireSecret refused: the version is current")
    assert secret.logs_in(secret.value())


def test_a_step_that_is_not_known_is_answered_as_unsupported(secret: Secret) -> None:
    answer = ask(secret, "unheardOf", current_version(secret))
    assert (answer["step"], answer["result"]) == ("unheardOf", "Unsupported")
