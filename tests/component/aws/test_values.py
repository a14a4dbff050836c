"""Values are read in batches, and each reader gets the answer to its own question."""

import asyncio

import pytest
from tests.component.aws.stand_in import Refused, StandIn
from tests.support.eventually import WITHIN, eventually

from keyturn.adapters.aws.catalog import CoalescingCatalog
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.engine.ports import CurrentValue
from keyturn_lab.patience import Patience

PENDING = "00000000-0000-4000-8000-000000000002"


async def outcome(catalog: CoalescingCatalog, secret_id: str) -> CurrentValue | OutsideError:
    try:
        return await catalog.current(secret_id)
    except OutsideError as refused:
        return refused


async def read(catalog: CoalescingCatalog, *ids: str) -> list[CurrentValue | OutsideError]:
    """All at the same time."""
    return await asyncio.gather(*(outcome(catalog, secret_id) for secret_id in ids))


def revealed(found: CurrentValue | OutsideError) -> str | bytes:
    assert isinstance(found, CurrentValue), found
    return found.value.reveal()


def reason(found: CurrentValue | OutsideError) -> str:
    assert isinstance(found, OutsideError), found
    return found.reason


async def test_reads_of_the_same_moment_share_batches_of_twenty(aws: StandIn, catalog: CoalescingCatalog) -> None:
    names = [f"s{index}" for index in range(100)]
    for name in names:
        aws.put(name, value=f"value of {name}")
    assert [revealed(found) for found in await read(catalog, *names)] == [f"value of {name}" for name in names]
    assert aws.calls == {"BatchGetSecretValue": 5}


async def test_a_batch_waits_for_company_while_others_are_under_way(aws: StandIn, catalog: CoalescingCatalog) -> None:
    names = [f"s{index}" for index in range(200)]
    for name in names:
        aws.put(name)
    readers = asyncio.Semaphore(50)

    async def one(name: str) -> None:
        async with readers:
            await catalog.current(name)

    await asyncio.gather(*map(one, names))
    assert aws.calls["BatchGetSecretValue"] <= 11


async def test_two_that_ask_for_the_same_id_share_one_place(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s", value="x")
    aws.put("t", value="y")
    found = await read(catalog, "s", "s", "t")
    assert [revealed(each) for each in found] == ["x", "x", "y"]
    assert [body["SecretIdList"] for _, body in aws.requests] == [["s", "t"]]


async def test_a_name_and_an_arn_of_one_secret_are_both_answered(aws: StandIn, catalog: CoalescingCatalog) -> None:
    arn = aws.put("s", value="x").arn
    found = await read(catalog, "s", arn)
    assert [revealed(each) for each in found] == ["x", "x"]


async def test_a_single_read_insists_on_awscurrent(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s", version="v7", value="x")
    found = await catalog.current("s")
    assert (found.version_id, found.name, found.arn) == ("v7", "s", aws.secrets["s"].arn)
    assert aws.requests == [("GetSecretValue", {"SecretId": "s", "VersionStage": "AWSCURRENT"})]


async def test_a_binary_value_comes_as_bytes(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s", value=b"\x00\xff")
    assert (await catalog.current("s")).value.reveal() == b"\x00\xff"


async def test_each_reader_gets_its_own_secrets_refusal(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("good", value="x")
    aws.put("empty", value=None)
    aws.put("doomed").extra["DeletedDate"] = 1.0
    aws.put("locked")
    aws.batch_errors["locked"] = Refused("DecryptionFailure")
    found = await read(catalog, "good", "empty", "doomed", "locked", "gone")
    assert revealed(found[0]) == "x"
    assert [reason(each) for each in found[1:]] == ["SourceNotFound", "SourceDeleted", "SourceKeyUnusable", "SourceNotFound"]
    assert aws.calls["BatchGetSecretValue"] == 1


async def test_an_id_that_the_answer_leaves_out_is_tried_again_later(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("a", value="x")
    aws.put("b")
    aws.batch_omits = {"b"}
    found = await read(catalog, "a", "b")
    assert revealed(found[0]) == "x"
    assert isinstance(found[1], OutsideError)
    assert found[1].kind is FailureKind.TRANSIENT


async def test_an_answer_that_is_cut_short_is_completed_one_by_one(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("a", value="x")
    aws.put("b", value="y")
    aws.batch_omits, aws.batch_cut_short = {"b"}, True
    assert [revealed(each) for each in await read(catalog, "a", "b")] == ["x", "y"]


async def test_a_policy_that_insists_on_the_label_is_met_and_remembered(aws: StandIn, catalog: CoalescingCatalog) -> None:
    for name in ("a", "b", "c"):
        aws.put(name, value=name)
    aws.batch_errors["c"] = Refused("AccessDeniedException", "no VersionStage")
    for _ in range(2):
        assert [revealed(each) for each in await read(catalog, "a", "b", "c")] == ["a", "b", "c"]
    assert [body["SecretIdList"] for operation, body in aws.requests if operation == "BatchGetSecretValue"] == [["a", "b", "c"], ["a", "b"]]


async def test_an_id_that_spoils_the_whole_batch_spoils_only_its_own_read(aws: StandIn, catalog: CoalescingCatalog) -> None:
    for name in ("a", "b"):
        aws.put(name, value="x")
    for operation, ids in (("BatchGetSecretValue", "SecretIdList"), ("GetSecretValue", "SecretId")):
        aws.refuse[operation] = lambda body, ids=ids: Refused("ValidationException", "Invalid name.") if "c!" in body[ids] else None  # type: ignore[misc]  # mypy cannot infer the default
    for _ in range(2):
        found = await read(catalog, "a", "b", "c!")
        assert [revealed(each) for each in found[:2]] == ["x", "x"]
        assert reason(found[2]) == "InvalidSource"
    assert [body["SecretIdList"] for operation, body in aws.requests if operation == "BatchGetSecretValue"] == [
        ["a", "b", "c!"],
        ["a", "b"],
    ]


async def test_a_throttling_storm_is_survived(aws: StandIn, catalog: CoalescingCatalog) -> None:
    names = [f"s{index}" for index in range(200)]
    for name in names:
        aws.put(name, value=name)
    aws.throttle("BatchGetSecretValue", 25)
    left, patience = list(names), Patience(WITHIN)
    while left and not patience.over:
        found = dict(zip(left, await read(catalog, *left), strict=True))
        assert {reason(each) for each in found.values() if isinstance(each, OutsideError)} <= {"Throttled"}
        left = [name for name, each in found.items() if isinstance(each, OutsideError)]
    assert left == []
    assert aws.calls["GetSecretValue"] == 0


async def test_a_reader_that_gives_up_disturbs_nobody(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("a", value="x")
    aws.put("b")
    impatient = asyncio.create_task(catalog.current("b"))
    patient = asyncio.create_task(catalog.current("a"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).value.reveal() == "x"


async def test_readers_are_told_when_the_connection_is_closed(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("a")
    aws.latency = 30.0
    reader = asyncio.create_task(catalog.current("a"))
    await eventually(lambda: aws.calls["GetSecretValue"], what="the read to be under way")
    await catalog.close()
    with pytest.raises(OutsideError, match="closed"):
        await reader


async def test_a_pending_version_with_and_without_a_value(aws: StandIn, catalog: CoalescingCatalog) -> None:
    secret = aws.put("s")
    secret.stages[PENDING] = ["AWSPENDING"]
    assert await catalog.has_value("s", PENDING) is False
    secret.values[PENDING] = "{}"
    assert await catalog.has_value("s", PENDING) is True
    with pytest.raises(OutsideError) as missing:
        await catalog.has_value("other", PENDING)
    assert missing.value.reason == "SourceNotFound"


async def test_a_pending_label_that_has_moved_on_is_a_conflict(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s")
    with pytest.raises(OutsideError) as moved:
        await catalog.has_value("s", PENDING)
    assert (moved.value.kind, moved.value.reason) == (FailureKind.CONFLICT, "LabelsMoved")
