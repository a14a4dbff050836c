"""Connections: shared, named in errors, counted, retried, closed."""

import asyncio
import logging
import socket
import threading

import pytest
from tests.component.aws.conftest import MakeConnection
from tests.component.aws.stand_in import ROLE, Refused, StandIn

from keyturn.adapters.aws.connections import Connection, Connections
from keyturn.adapters.aws.identity import AwsKey, StaticCredentials, key_of
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.engine.ports import AwsConnections

STATIC = {"aws_access_key_id": "testing-2", "aws_secret_access_key": "testing-secret"}
TOKEN = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"


def test_credentials_are_part_of_the_key_but_not_to_be_read_from_it() -> None:
    one, other = (StaticCredentials.of({**STATIC, "aws_session_token": token}) for token in ("t1", "t2"))
    keys = [key_of(region="eu-west-1", endpoint=None, credentials=given) for given in (one, other, None)]
    assert len(set(keys)) == 3
    assert "testing" not in repr(keys) + repr(one)


async def test_a_connection_is_shared_by_all_who_ask_for_the_same(aws: StandIn) -> None:
    connections = Connections(lambda *_: None)
    port: AwsConnections = connections

    def get(region: str, credentials: dict[str, str] | None) -> object:
        return port.get(region=region, endpoint=aws.url, credentials=credentials, poll_interval=60)

    own, again, elsewhere, static = (get("eu-west-1", None), get("eu-west-1", None), get("eu-west-2", None), get("eu-west-1", STATIC))
    static_again = get("eu-west-1", dict(STATIC))
    await connections.close()
    assert own is again
    assert static is static_again
    assert len({id(each) for each in (own, elsewhere, static)}) == 3


@pytest.mark.parametrize("missing", ["aws_access_key_id", "aws_secret_access_key"])
async def test_incomplete_credentials_never_fall_back_to_the_operators_own(aws: StandIn, missing: str) -> None:
    connections = Connections(lambda *_: None)
    with pytest.raises(OutsideError, match=missing) as refused:
        connections.get(region="eu-west-1", endpoint=aws.url, credentials={**STATIC, missing: " "}, poll_interval=60)
    assert refused.value.reason == "CredentialsUnusable"
    await connections.close()


async def test_a_change_is_reported_with_the_key_of_its_connection(aws: StandIn) -> None:
    told: list[tuple[AwsKey, str]] = []
    connections = Connections(lambda key, secret_id: told.append((key, secret_id)))
    connection = connections.get(region="eu-west-1", endpoint=aws.url, credentials=None, poll_interval=3600)
    assert isinstance(connection, Connection)
    aws.put("s")
    connection.catalog.follow("s")
    await connection.reads.poll()
    aws.promote("s", "v2")
    await connection.reads.poll()
    await connections.close()
    assert told == [(AwsKey(region="eu-west-1", endpoint=aws.url), "s")]


async def test_the_identity_is_asked_once(aws: StandIn, connect: MakeConnection) -> None:
    connection = connect(aws.url)
    assert set(await asyncio.gather(connection.identity(), connection.identity())) == {ROLE}
    assert await connection.identity() == ROLE
    assert aws.calls == {"GetCallerIdentity": 1}


async def test_an_identity_that_could_not_be_had_is_asked_again(aws: StandIn, connect: MakeConnection) -> None:
    connection = connect(aws.url)
    aws.refuse["GetCallerIdentity"] = lambda _: Refused("ExpiredToken", status=403)
    with pytest.raises(OutsideError) as refused:
        await connection.identity()
    assert refused.value.reason == "CredentialsUnusable"
    aws.refuse.clear()
    assert await connection.identity() == ROLE


async def test_a_denial_that_names_nobody_gets_the_name_from_sts(aws: StandIn, connect: MakeConnection) -> None:
    aws.refuse["DescribeSecret"] = lambda _: Refused("AccessDeniedException", "Access to KMS is not allowed")
    with pytest.raises(OutsideError, match=ROLE):
        await connect(aws.url).catalog.described("s")
    assert aws.calls["DescribeSecret"] == 1


async def test_every_call_is_reported_with_its_outcome(aws: StandIn, connect: MakeConnection) -> None:
    told: list[tuple[str, str]] = []
    connection = connect(aws.url, on_call=lambda operation, code, seconds: told.append((operation, code)))
    aws.put("s")
    aws.throttle("DescribeSecret", 1)
    await connection.catalog.described("s")
    assert told == [("DescribeSecret", "Throttled"), ("DescribeSecret", "OK")]


async def test_three_attempts_are_made_and_no_more(aws: StandIn, connect: MakeConnection) -> None:
    aws.refuse["DescribeSecret"] = lambda _: Refused("InternalServiceError", status=500)
    with pytest.raises(OutsideError) as refused:
        await connect(aws.url).catalog.described("s")
    assert refused.value.reason == "AWSUnavailable"
    assert aws.calls["DescribeSecret"] == 3


async def test_a_quota_is_not_hammered(aws: StandIn, connect: MakeConnection) -> None:
    aws.put("s")
    aws.refuse["RotateSecret"] = lambda _: Refused("LimitExceededException", "too many versions")
    with pytest.raises(OutsideError) as refused:
        await connect(aws.url).rotations.start("s", token=TOKEN)
    assert (refused.value.kind, refused.value.reason) == (FailureKind.DENIED, "QuotaExceeded")
    assert aws.calls["RotateSecret"] == 1


async def test_a_rotation_is_started_with_its_token_and_nothing_else(aws: StandIn, connect: MakeConnection) -> None:
    aws.put("s")
    await connect(aws.url).rotations.start("s", token=TOKEN)
    assert aws.requests == [("RotateSecret", {"SecretId": "s", "ClientRequestToken": TOKEN})]


async def test_awspending_is_taken_off_the_named_version_only(aws: StandIn, connect: MakeConnection) -> None:
    aws.put("s").stages[TOKEN] = ["AWSPENDING"]
    rotations = connect(aws.url).rotations
    await rotations.remove_pending("s", version_id=TOKEN)
    assert aws.requests[-1][1] == {"SecretId": "s", "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN}
    with pytest.raises(OutsideError) as moved:
        await rotations.remove_pending("s", version_id=TOKEN)
    assert (moved.value.kind, moved.value.reason) == (FailureKind.CONFLICT, "LabelsMoved")


async def test_an_endpoint_that_does_not_answer_is_an_outage(connect: MakeConnection) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(OutsideError) as refused:
            await connect(f"http://127.0.0.1:{deaf.getsockname()[1]}").catalog.described("s")
    assert refused.value.reason == "AWSUnavailable"


async def test_an_endpoint_that_is_no_url_is_the_connections_fault(connect: MakeConnection) -> None:
    with pytest.raises(OutsideError) as refused:
        await connect("no url").catalog.described("s")
    assert (refused.value.kind, refused.value.reason) == (FailureKind.INVALID, "InvalidConnection")


@pytest.mark.parametrize(
    ("variable", "host"),
    [
        ("AWS_USE_FIPS_ENDPOINT", "secretsmanager-fips.eu-west-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "secretsmanager.eu-west-1.api.aws"),
    ],
)
async def test_fips_and_dual_stack_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, connect: MakeConnection, variable: str, host: str
) -> None:
    monkeypatch.setenv(variable, "true")
    connection = connect(None)
    clients = connection._caller._clients  # the endpoint is nowhere to be seen from outside without a call to AWS
    assert clients.secrets().meta.endpoint_url == f"https://{host}"


async def test_after_closing_no_thread_and_no_task_is_left(aws: StandIn) -> None:
    connections = Connections(lambda *_: None)
    connection = connections.get(region="eu-west-1", endpoint=aws.url, credentials=None, poll_interval=60)
    aws.put("s")
    await connection.catalog.described("s")
    await connections.close()
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("aws")]:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
    assert [task for task in asyncio.all_tasks() if "adapters/aws" in str(task.get_coro())] == []


async def test_a_value_shows_in_no_log_exception_or_repr(aws: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("botocore", "botocore.endpoint", "botocore.parsers", "urllib3", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    canary = "canary-2f1d7c"
    connections = Connections(lambda *_: None)
    connection = connections.get(region="eu-west-1", endpoint=aws.url, credentials=STATIC, poll_interval=3600)
    assert isinstance(connection, Connection)
    for name in ("a", "b"):
        aws.put(name, value=canary)
        connection.catalog.follow(name)
    aws.deny("ListSecrets")
    found = await asyncio.gather(*map(connection.catalog.current, ("a", "b")))
    await connection.reads.poll()
    aws.refuse["GetSecretValue"] = lambda _: Refused("SomethingNew", canary)
    with pytest.raises(OutsideError) as refused:
        await connection.catalog.current("a")
    await connections.close()
    shown = f"{found!r} {refused.value!r} {refused.value.message} {refused.value.__context__!r} {vars(connection.reads)!r}"
    assert canary not in shown + caplog.text
    assert STATIC["aws_secret_access_key"] not in shown + caplog.text
