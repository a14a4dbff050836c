"""Metadata: the cheapest way to know it, and what happens when it changes."""

import asyncio
import logging

import pytest
from tests.component.aws.stand_in import Refused, StandIn
from tests.support.eventually import eventually

from keyturn.adapters.aws.catalog import CoalescingCatalog
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import SourceView


def fill(aws: StandIn, count: int) -> list[str]:
    names = [f"s{index:04d}" for index in range(count)]
    for name in names:
        aws.put(name)
    return names


def current(view: SourceView | None) -> str | None:
    return view.labels.current if view else None


async def test_many_first_looks_share_one_sweep(aws: StandIn, catalog: CoalescingCatalog) -> None:
    names = fill(aws, 250)
    views = await asyncio.gather(*map(catalog.described, names))
    assert [view.name for view in views] == names
    assert not any(view.fresh for view in views)
    assert aws.calls == {"ListSecrets": 3}


async def test_a_single_first_look_is_a_description(aws: StandIn, catalog: CoalescingCatalog) -> None:
    fill(aws, 250)
    view = await catalog.described("s0007")
    assert (view.name, view.fresh) == ("s0007", True)
    assert aws.calls == {"DescribeSecret": 1}


async def test_a_few_secrets_of_a_large_account_are_described_after_an_abandoned_sweep(aws: StandIn, catalog: CoalescingCatalog) -> None:
    fill(aws, 900)
    views = await asyncio.gather(*(catalog.described(f"s089{index}") for index in range(3)))
    assert [view.name for view in views] == ["s0890", "s0891", "s0892"]
    assert aws.calls == {"ListSecrets": 3, "DescribeSecret": 3}


async def test_what_was_read_once_is_answered_without_a_call(aws: StandIn, catalog: CoalescingCatalog) -> None:
    fill(aws, 1)
    assert catalog.known("s0000") is None
    await catalog.described("s0000")
    aws.calls.clear()
    assert current(catalog.known("s0000")) == "v1"
    assert current(await catalog.described("s0000")) == "v1"
    assert aws.calls == {}


async def test_a_sweep_knows_secrets_that_nobody_has_asked_for_yet(aws: StandIn, catalog: CoalescingCatalog) -> None:
    names = fill(aws, 100)
    await asyncio.gather(*map(catalog.described, names[:50]))
    assert current(catalog.known(names[99])) == "v1"
    assert current(catalog.known(aws.secrets[names[99]].arn)) == "v1"
    assert catalog.known(aws.secrets[names[99]].arn[:-6] + "ZyXwVu") is None


async def test_fresh_descriptions_of_the_same_moment_share_a_call(aws: StandIn, catalog: CoalescingCatalog) -> None:
    fill(aws, 1)
    views = await asyncio.gather(*(catalog.described("s0000", fresh=True) for _ in range(10)))
    assert all(view.fresh for view in views)
    assert aws.calls == {"DescribeSecret": 1}


async def test_a_description_is_never_older_than_the_question(aws: StandIn, catalog: CoalescingCatalog) -> None:
    fill(aws, 1)
    aws.latency = 0.1
    early = asyncio.create_task(catalog.described("s0000", fresh=True))
    await eventually(lambda: aws.calls["DescribeSecret"], what="the first call")
    late = [asyncio.create_task(catalog.described("s0000", fresh=True)) for _ in range(5)]
    await asyncio.gather(early, *late)
    assert aws.calls["DescribeSecret"] == 2


async def test_absent_rotation_fields_mean_no_rotation(aws: StandIn, catalog: CoalescingCatalog) -> None:
    secret = aws.put("s")
    plain = await catalog.described("s")
    assert (plain.rotation_enabled, plain.rotation_lambda, plain.next_rotation, plain.rotation_configured) == (False, None, None, False)
    secret.extra = {"RotationEnabled": True, "RotationLambdaARN": "arn:aws:lambda:x", "LastRotatedDate": 5.0, "NextRotationDate": 9.5}
    rotated = await catalog.described("s", fresh=True)
    assert rotated.rotation_configured
    assert rotated.next_rotation is not None
    assert (rotated.next_rotation.timestamp(), str(rotated.next_rotation.tzinfo)) == (9.5, "UTC")


async def test_a_secret_that_is_to_be_deleted_says_so(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s").extra["DeletedDate"] = 1.0
    assert (await catalog.described("s")).deleted
    aws.secrets["s"].stages = {}
    with pytest.raises(OutsideError) as deleted:
        await catalog.described("s", fresh=True)
    assert deleted.value.reason == "SourceDeleted"


async def test_a_secret_without_a_current_version_is_missing(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s").stages = {}
    with pytest.raises(OutsideError) as missing:
        await catalog.described("s")
    assert (missing.value.kind, missing.value.reason) == (FailureKind.MISSING, "SourceNotFound")


async def test_a_promotion_is_noticed_by_a_poll_exactly_once(aws: StandIn, catalog: CoalescingCatalog, changes: list[str]) -> None:
    names = fill(aws, 40)
    for name in names:
        catalog.follow(name)
    await asyncio.gather(*map(catalog.described, names))
    await catalog.poll()
    assert changes == []
    aws.promote("s0003", "v2")
    for _ in range(3):
        await catalog.poll()
    assert changes == ["s0003"]
    view = await catalog.described("s0003")
    assert (view.labels.current, view.labels.previous, view.fresh) == ("v2", "v1", False)
    assert (await catalog.described("s0003", fresh=True)).fresh
    await catalog.poll()
    assert changes == ["s0003"]


@pytest.mark.parametrize(
    "change",
    [{"RotationEnabled": True}, {"RotationLambdaARN": "arn:aws:lambda:y"}, {"NextRotationDate": 7.0}, {"DeletedDate": 3.0}],
    ids=str,
)
async def test_other_changes_are_noticed_too(
    aws: StandIn, catalog: CoalescingCatalog, changes: list[str], change: dict[str, object]
) -> None:
    aws.put("s")
    catalog.follow("s")
    await catalog.described("s")
    await catalog.poll()
    aws.secrets["s"].extra = change
    await catalog.poll()
    assert changes == ["s"]


async def test_a_secret_that_goes_and_comes_back_is_noticed_both_times(
    aws: StandIn, catalog: CoalescingCatalog, changes: list[str]
) -> None:
    fill(aws, 2)
    catalog.follow("s0000")
    catalog.follow("s0001")
    await catalog.poll()
    kept = aws.secrets.pop("s0000")
    await catalog.poll()
    assert changes == ["s0000"]
    with pytest.raises(OutsideError):
        await catalog.described("s0000")
    aws.secrets["s0000"] = kept
    await catalog.poll()
    assert changes == ["s0000", "s0000"]


async def test_a_stale_sweep_does_not_undo_a_description(aws: StandIn, catalog: CoalescingCatalog, changes: list[str]) -> None:
    fill(aws, 2)
    for name in aws.secrets:
        catalog.follow(name)
    await catalog.poll()
    aws.stale_list = aws.listing()
    aws.promote("s0000", "v2")
    assert current(await catalog.described("s0000", fresh=True)) == "v2"
    changes.clear()
    for _ in range(3):
        await catalog.poll()
    assert current(catalog.known("s0000")) == "v2"
    assert changes == []


async def test_what_one_reader_finds_out_others_are_told(aws: StandIn, catalog: CoalescingCatalog, changes: list[str]) -> None:
    aws.put("s")
    catalog.follow("s")
    await catalog.described("s")
    aws.promote("s", "v2")
    assert (await catalog.current("s")).version_id == "v2"
    await eventually(lambda: changes == ["s"], what="the change to be told")
    assert current(catalog.known("s")) == "v2"


async def test_followers_are_counted(aws: StandIn, catalog: CoalescingCatalog, changes: list[str]) -> None:
    aws.put("s")
    catalog.follow("s")
    catalog.follow("s")
    await catalog.described("s")
    catalog.unfollow("s")
    aws.promote("s", "v2")
    await catalog.poll()
    assert changes == ["s"]
    catalog.unfollow("s")
    aws.promote("s", "v3")
    await catalog.poll()
    assert changes == ["s"]
    assert catalog.idle


async def test_without_permission_to_list_secrets_are_still_watched(
    aws: StandIn, catalog: CoalescingCatalog, changes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    names = fill(aws, 120)
    aws.deny("ListSecrets")
    for name in names:
        catalog.follow(name)
    await asyncio.gather(*map(catalog.described, names))
    aws.calls.clear()
    aws.promote("s0005", "v2")
    for _ in range(3):
        await catalog.poll()
    assert changes == ["s0005"]
    assert aws.calls["ListSecrets"] == 0
    assert aws.calls["BatchGetSecretValue"] == 18
    assert aws.calls["DescribeSecret"] == 1 + 3 * 2
    assert len([record for record in caplog.records if "ListSecrets" in record.message]) == 1


async def test_without_permission_for_batches_values_are_read_one_by_one(
    aws: StandIn, catalog: CoalescingCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    names = fill(aws, 45)
    aws.deny("BatchGetSecretValue")
    for _ in range(2):
        found = await asyncio.gather(*map(catalog.current, names))
        assert [value.name for value in found] == names
    assert aws.calls["GetSecretValue"] == 90
    assert aws.calls["BatchGetSecretValue"] <= 3
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "secretsmanager:BatchGetSecretValue" in said[0]


async def test_with_neither_permission_secrets_are_described_at_each_poll(
    aws: StandIn, catalog: CoalescingCatalog, changes: list[str]
) -> None:
    names = fill(aws, 30)
    aws.deny("ListSecrets", "BatchGetSecretValue")
    for name in names:
        catalog.follow(name)
    await catalog.poll()
    aws.promote("s0001", "v2")
    await catalog.poll()
    assert changes == ["s0001"]


async def test_a_refused_description_is_each_askers_own_error(aws: StandIn, catalog: CoalescingCatalog) -> None:
    aws.put("s")
    aws.refuse["DescribeSecret"] = lambda _: Refused("DecryptionFailure")
    refusals = await asyncio.gather(*(catalog.described("s") for _ in range(2)), return_exceptions=True)
    assert [type(refused) for refused in refusals] == [OutsideError, OutsideError]
