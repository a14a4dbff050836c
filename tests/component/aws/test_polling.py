"""The background look: which way is the cheapest, and that nothing ends it."""

from collections import Counter

import pytest
from tests.component.aws.conftest import MakeConnection
from tests.component.aws.stand_in import Refused, StandIn, denial
from tests.support.eventually import eventually

from keyturn.adapters.aws.polling import REEVALUATE, TRICKLE, Pace, Way, cheapest, cost


@pytest.mark.parametrize(
    ("followed", "pages", "way"),
    [
        (2500, 25, Way.SWEEP),
        (2500, None, Way.SWEEP),
        (2500, 1000, Way.BATCH),
        (1, 1, Way.SWEEP),
        (1, 2, Way.DESCRIBE),
        (3, 50, Way.BATCH),
        (2, 50, Way.DESCRIBE),
        (100, 7, Way.SWEEP),
        (100, 8, Way.BATCH),
    ],
)
def test_the_cheapest_way_is_taken(followed: int, pages: int | None, way: Way) -> None:
    assert cheapest(Way, followed=followed, pages=pages) is way


def test_2500_secrets_alone_in_their_account_cost_25_calls() -> None:
    assert cost(Way.SWEEP, followed=2500, pages=25) == 25
    assert cost(Way.BATCH, followed=2500, pages=25) == 125 + 42


def test_the_shortest_interval_asked_for_lately_counts() -> None:
    pace = Pace()
    pace.ask(60, now=0)
    pace.ask(300, now=10)
    assert pace.interval(now=20) == 60
    pace.ask(300, now=3700)
    assert pace.interval(now=3701) == 300
    assert pace.interval(now=99_999) == 300


async def test_in_a_large_account_a_few_secrets_are_not_swept_for(aws: StandIn, connect: MakeConnection, changes: list[str]) -> None:
    for index in range(1500):
        aws.put(f"s{index:04d}")
    catalog = connect(aws.url).reads
    followed = [f"s{index:04d}" for index in range(0, 1500, 15)]
    for name in followed:
        catalog.follow(name)
    await catalog.poll()
    budget = cost(Way.BATCH, followed=100, pages=None)
    assert aws.calls["ListSecrets"] == budget
    assert aws.calls["BatchGetSecretValue"] == 5
    aws.promote("s0015", "v2")
    aws.calls.clear()
    for _ in range(REEVALUATE - 1):
        await catalog.poll()
    assert aws.calls["ListSecrets"] == 0
    assert changes == ["s0015"]
    await catalog.poll()
    assert aws.calls["ListSecrets"] == budget


async def test_where_versions_are_polled_every_secret_is_described_in_its_turn(
    aws: StandIn, connect: MakeConnection, changes: list[str]
) -> None:
    aws.deny("ListSecrets")
    names = [f"s{index:02d}" for index in range(50)]
    catalog = connect(aws.url).reads
    for name in names:
        aws.put(name)
        catalog.follow(name)
    await catalog.poll()
    aws.secrets["s42"].extra = {"RotationEnabled": True}
    for _ in range(TRICKLE):
        await catalog.poll()
    assert changes == ["s42"]


async def test_a_poll_by_versions_tells_a_secret_that_has_gone(aws: StandIn, connect: MakeConnection, changes: list[str]) -> None:
    aws.deny("ListSecrets")
    catalog = connect(aws.url).reads
    for name in ("a", "b", "c", "d"):
        aws.put(name)
        catalog.follow(name)
        await catalog.described(name)
    del aws.secrets["b"]
    await catalog.poll()
    await catalog.poll()
    assert changes == ["b"]


async def test_polling_survives_failures_and_goes_on(aws: StandIn, connect: MakeConnection, changes: list[str]) -> None:
    rounds: Counter[str] = Counter()
    catalog = connect(aws.url, poll_interval=0.02, on_poll=lambda _, outcome, __: rounds.update([outcome])).reads
    aws.put("s")
    catalog.follow("s")
    await eventually(lambda: rounds["OK"], what="a first good poll")
    aws.refuse["ListSecrets"] = lambda _: Refused("InternalServiceError", status=500)
    await eventually(lambda: rounds["AWSUnavailable"], what="a poll that fails")
    aws.refuse["ListSecrets"] = lambda _: None
    aws.promote("s", "v2")
    await eventually(lambda: changes == ["s"], what="the promotion to be noticed")


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refused("ThrottlingException"), "Throttled"),
        (Refused("InternalServiceError", status=500), "AWSUnavailable"),
        (Refused("ExpiredTokenException"), "CredentialsUnusable"),
        (denial("DescribeSecret"), "SourceAccessDenied"),
    ],
    ids=["throttled", "5xx", "credentials", "denied"],
)
@pytest.mark.parametrize("followed", [1, 5], ids=["described", "by versions"])
async def test_a_poll_in_any_way_that_learns_nothing_is_the_trouble_of_the_connection(
    aws: StandIn, connect: MakeConnection, changes: list[str], followed: int, refusal: Refused, reason: str
) -> None:
    aws.deny("ListSecrets")
    rounds: Counter[str] = Counter()
    catalog = connect(aws.url, poll_interval=0.02, on_poll=lambda _, outcome, __: rounds.update([outcome])).reads
    for index in range(followed):
        aws.put(f"s{index}")
        catalog.follow(f"s{index}")
    await eventually(lambda: rounds["OK"], what="a first good poll")
    assert catalog.trouble() is None
    for operation in ("DescribeSecret", "BatchGetSecretValue"):
        aws.refuse[operation] = lambda _: refusal
    await eventually(lambda: rounds[reason], what="a poll that fails")
    await eventually(lambda: (trouble := catalog.trouble()) is not None and trouble.reason == reason, what="the trouble")
    aws.refuse.clear()
    aws.promote("s0", "v2")
    await eventually(lambda: changes == ["s0"], what="the promotion to be noticed")
    await eventually(lambda: catalog.trouble() is None, what="the end of the trouble")


async def test_one_secret_that_may_not_be_described_is_no_trouble_of_the_connection(aws: StandIn, connect: MakeConnection) -> None:
    aws.deny("ListSecrets", "BatchGetSecretValue")
    rounds: Counter[str] = Counter()
    catalog = connect(aws.url, poll_interval=0.02, on_poll=lambda _, outcome, __: rounds.update([outcome])).reads
    for name in ("a", "b"):
        aws.put(name)
        catalog.follow(name)
    aws.refuse["DescribeSecret"] = lambda asked: denial("DescribeSecret") if asked["SecretId"] == "a" else None
    await eventually(lambda: rounds["OK"] >= 3, what="three polls")
    assert set(rounds) == {"OK"}


async def test_an_answer_that_makes_no_sense_does_not_end_polling(
    aws: StandIn, connect: MakeConnection, changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: Counter[str] = Counter()
    catalog = connect(aws.url, poll_interval=0.02, on_poll=lambda _, outcome, __: rounds.update([outcome])).reads
    aws.put("s")
    catalog.follow("s")
    await eventually(lambda: rounds["OK"], what="a first good poll")
    aws.stale_list = {"s": {"Name": "s", "ARN": "arn:s", "SecretVersionsToStages": 5}}
    await eventually(lambda: set(rounds) - {"OK"}, what="a poll that fails")
    aws.stale_list = None
    aws.promote("s", "v2")
    await eventually(lambda: changes == ["s"], what="the promotion to be noticed")


async def test_nobody_followed_means_no_call(aws: StandIn, connect: MakeConnection) -> None:
    calls: list[str] = []
    idle = connect(aws.url, poll_interval=0.01, on_call=lambda operation, code, seconds: calls.append(operation)).reads
    busy = connect(aws.url, poll_interval=0.01).reads
    aws.put("s")
    busy.follow("s")
    await eventually(lambda: aws.calls["ListSecrets"] >= 5, what="five polls of another catalog")
    assert calls == []
    assert idle.idle
