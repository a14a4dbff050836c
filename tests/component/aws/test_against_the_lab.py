"""The same against the lab's AWS, whose answers are shaped by AWS's documentation and records: real rotations, real labels."""

import asyncio
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.component.aws.conftest import MakeConnection
from tests.support.eventually import eventually

from keyturn.adapters.aws.connections import Connection
from keyturn.domain.failures import OutsideError
from keyturn_lab.aws import CLIENT_KEY, Aws

FUNCTION = """
import boto3, os

def handler(event, context):
    client = boto3.client("secretsmanager")
    secret, token = event["SecretId"], event["ClientRequestToken"]
    if event["Step"] == "createSecret":
        client.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="{}", VersionStages=["AWSPENDING"])
    if event["Step"] == "finishSecret":
        stages = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Aws]:
    with Aws() as running:
        yield running


@pytest.fixture(scope="module")
def function(lab: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    code = tmp_path_factory.mktemp("function")
    (code / "function.py").write_text(FUNCTION)
    return lab.register_function("rotator", code, handler="function.handler")


@pytest.fixture
def name() -> str:
    return f"test/{uuid.uuid4()}"


@pytest.fixture
async def connection(lab: Aws, connect: MakeConnection, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """As a child process of the operator's would have it: everything from the environment."""
    for variable, value in lab.environment.items():
        monkeypatch.setenv(variable, value)
    return connect(None)


async def test_a_rotation_from_start_to_promotion(lab: Aws, function: str, connection: Connection, changes: list[str], name: str) -> None:
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString="{}")
    first = secrets.rotate_secret(SecretId=name, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30})["VersionId"]
    await asyncio.to_thread(lab.wait_for_rotation, name, first)
    catalog = connection.reads
    catalog.follow(name)
    before = await catalog.described(name, fresh=True)
    assert (before.labels.current, before.rotation_lambda, before.rotation_enabled) == (first, function, True)
    token = str(uuid.uuid4())
    await connection.rotations.start(name, token=token)
    await asyncio.to_thread(lab.wait_for_rotation, name, token)
    changes.clear()
    await catalog.poll()
    assert changes == [name]
    assert (await catalog.current(name)).version_id == token
    after = await catalog.described(name, fresh=True)
    assert (after.labels.current, after.labels.previous) == (token, first)
    assert after.last_rotated is not None


async def test_a_rotation_without_a_function_is_not_configured(lab: Aws, connection: Connection, name: str) -> None:
    lab.client("secretsmanager").create_secret(Name=name, SecretString="{}")
    with pytest.raises(OutsideError) as refused:
        await connection.rotations.start(name, token=str(uuid.uuid4()))
    assert refused.value.reason == "RotationNotConfigured"


async def test_a_rotation_that_died_at_its_beginning_is_cleared(lab: Aws, function: str, connection: Connection, name: str) -> None:
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString="{}")
    stuck = str(uuid.uuid4())
    with lab.faults.on("lambda-fail", action="rotator", step="createSecret"):
        secrets.rotate_secret(SecretId=name, RotationLambdaARN=function, ClientRequestToken=stuck)
        await eventually(lambda: len([call for call in lab.invocations("rotator") if call.failed]) >= 3, what="AWS to give up")
    assert (await connection.catalog.described(name, fresh=True)).labels.pending == stuck
    assert await connection.catalog.has_value(name, stuck) is False
    with pytest.raises(OutsideError) as refused:
        await connection.rotations.start(name, token=str(uuid.uuid4()))
    assert refused.value.reason == "RotationInProgress"
    await connection.rotations.remove_pending(name, version_id=stuck)
    assert (await connection.catalog.described(name, fresh=True)).labels.pending is None


async def test_a_deleted_a_locked_and_a_good_secret_are_told_apart_in_one_batch(lab: Aws, connection: Connection) -> None:
    secrets = lab.client("secretsmanager")
    names = {kind: f"test/{kind}-{uuid.uuid4()}" for kind in ("deleted", "locked", "good")}
    for each in names.values():
        secrets.create_secret(Name=each, SecretString="{}")
    secrets.delete_secret(SecretId=names["deleted"])
    with lab.faults.on("kms-disabled", secret=names["locked"]):
        found = await asyncio.gather(*map(connection.catalog.current, names.values()), return_exceptions=True)
    assert [each.reason if isinstance(each, OutsideError) else "" for each in found] == ["SourceDeleted", "SourceKeyUnusable", ""]
    assert (await connection.catalog.described(names["deleted"])).deleted


async def test_a_denial_names_the_labs_identity_the_action_and_the_secret(lab: Aws, connection: Connection, name: str) -> None:
    lab.client("secretsmanager").create_secret(Name=name, SecretString="{}")
    with lab.faults.on("deny", secret=name, caller=CLIENT_KEY), pytest.raises(OutsideError) as refused:
        await connection.catalog.current(name)
    assert refused.value.reason == "SourceAccessDenied"
    for part in ("arn:aws:", "secretsmanager:GetSecretValue", name):
        assert part in refused.value.message


async def test_a_stale_list_does_not_undo_what_is_known(lab: Aws, connection: Connection, changes: list[str], name: str) -> None:
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString="{}")
    connection.catalog.follow(name)
    await connection.reads.poll()
    with lab.faults.on("stale-list"):
        promoted = secrets.put_secret_value(SecretId=name, SecretString="{}")["VersionId"]
        assert (await connection.catalog.described(name, fresh=True)).labels.current == promoted
        changes.clear()
        await connection.reads.poll()
        view = connection.catalog.known(name)
    assert view is not None
    assert view.labels.current == promoted
    assert changes == []


async def test_a_secret_without_a_value_is_missing(lab: Aws, connection: Connection, name: str) -> None:
    lab.client("secretsmanager").create_secret(Name=name)
    for read in (connection.catalog.current, connection.catalog.described):
        with pytest.raises(OutsideError) as refused:
            await read(name)
        assert refused.value.reason == "SourceNotFound"


async def test_times_are_awss(lab: Aws, connection: Connection, name: str) -> None:
    lab.client("secretsmanager").create_secret(Name=name, SecretString="{}")
    lab.backdate(name, days=40)
    view = await connection.catalog.described(name)
    assert timedelta(days=39) < lab.now() - view.created < timedelta(days=41)


async def test_the_identity_is_the_labs(connection: Connection) -> None:
    assert (await connection.identity()).startswith("arn:aws:")
