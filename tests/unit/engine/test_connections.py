"""What a connection says of AWS, and what happens when its credentials are renewed."""

from __future__ import annotations

import pytest
from tests.support.fakes import FakeConnections
from tests.support.kstatus import check_conditions, kstatus
from tests.support.kube import condition
from tests.support.observed import NAMESPACE
from tests.support.process import Cosmos, Process

from keyturn.domain.failures import FailureKind
from keyturn.domain.observed import Failure
from keyturn.engine.keys import Key, Kind

CONNECTION = Key(Kind.CLUSTER_CONNECTION, "", "default")
SECRET = Key(Kind.SECRET, NAMESPACE, "orders-db")


async def looked_at(cosmos: Cosmos) -> dict[str, object]:
    """The connection after a pass over it."""
    await Process(cosmos).look(CONNECTION)
    return dict(cosmos.objects.stored[CONNECTION.kind.value, "", "default"])


async def test_a_connection_that_answers_names_its_identity() -> None:
    seen = await looked_at(Cosmos())
    assert condition(seen, "Ready")["reason"] == "Identified"
    assert "assumed-role/keyturn" in condition(seen, "Ready")["message"]


@pytest.mark.parametrize(
    ("kind", "reason", "verdict"),
    [(FailureKind.TRANSIENT, "AWSUnavailable", "InProgress"), (FailureKind.DENIED, "SourceAccessDenied", "Failed")],
    ids=["for a while", "until somebody mends it"],
)
async def test_a_connection_whose_polls_fail_is_not_ready_and_says_why(kind: FailureKind, reason: str, verdict: str) -> None:
    cosmos = Cosmos()
    cosmos.aws.trouble = Failure(kind=kind, reason=reason, message="AWS did not answer the last look")
    seen = await looked_at(cosmos)
    assert (condition(seen, "Ready")["status"], condition(seen, "Ready")["reason"]) == ("False", reason)
    assert (kstatus(seen), check_conditions(seen)) == (verdict, [])


async def test_polls_that_come_to_fail_or_to_work_have_the_connections_looked_at() -> None:
    process = Process(Cosmos())
    process.queue.due.clear()
    process.engine.access_changed()
    assert set(process.queue.due) == {CONNECTION}


async def test_renewed_credentials_wake_everybody_who_uses_the_connection() -> None:
    cosmos = Cosmos()
    cosmos.objects.add("RotatingSecret", NAMESPACE, "orders-db", {"secretId": cosmos.aws.name})
    process = Process(cosmos)
    await process.look(CONNECTION)
    process.queue.due.clear()
    await process.look(CONNECTION)
    assert SECRET not in process.queue.due
    process.reconciler.connections._aws = FakeConnections(cosmos.aws)  # another client, as renewed credentials have
    await process.look(CONNECTION)
    assert SECRET in process.queue.due
