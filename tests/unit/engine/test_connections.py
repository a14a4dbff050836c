"""What a connection says of AWS, and what happens when its credentials are renewed."""

from __future__ import annotations

import pytest
from tests.support.fakes import FakeConnections
from tests.support.kstatus import check_conditions, kstatus
from tests.support.kube import condition
from tests.support.observed import NAMESPACE
from tests.support.process import Cosmos, Process

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import Failure
from keyturn.engine.keys import Key, Kind
from keyturn.engine.ports import Credentials
from keyturn.engine.unwatched import Lookout

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


# --- an access key of its own -----------------------------------------------------------------------------------------

OWN = Key(Kind.CONNECTION, NAMESPACE, "own")
KEYS = (NAMESPACE, "keys")
ACCESS = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}


class Tenant:
    """A namespace with a connection of its own, and a RotatingSecret that uses it."""

    def __init__(self, *, there: bool) -> None:
        self.cosmos = Cosmos()
        spec = {"region": "eu-west-1", "auth": {"staticCredentials": {"secretRef": {"name": "keys"}}}}
        self.cosmos.objects.add("AWSConnection", NAMESPACE, "own", spec)
        use = {"secretId": self.cosmos.aws.name, "connectionRef": {"kind": "AWSConnection", "name": "own"}}
        self.cosmos.objects.add("RotatingSecret", NAMESPACE, "orders-db", use)
        if there:
            self.write_keys()
        self.process = Process(self.cosmos)
        unwatched, engine = self.process.world.unwatched, self.process.engine
        self.lookout = Lookout(unwatched=unwatched, secrets=self.cosmos.secrets, wake=engine.awaited)

    def write_keys(self) -> None:
        """Somebody writes the Secret with the access key."""
        version = self.cosmos.outside.next_version()
        self.cosmos.objects.credentials[KEYS] = Credentials(values=ACCESS, version=version)
        meta = {"name": "keys", "namespace": NAMESPACE, "uid": "k", "resourceVersion": version}
        lists: dict[str, object] = {"labels": {}, "annotations": {}, "ownerReferences": []}
        self.cosmos.secrets.stored[KEYS] = {"metadata": meta | lists, "type": "Opaque", "data": {}}

    async def says(self) -> str:
        """The reason of Ready, after a pass over the connection."""
        await self.process.look(OWN)
        self.process.queue.due.clear()
        return str(condition(self.cosmos.objects.stored["AWSConnection", NAMESPACE, "own"], "Ready")["reason"])

    async def woken(self) -> set[Key]:
        """Whom one look at what is waited for wakes."""
        await self.lookout.look()
        return set(self.process.queue.due)


async def test_an_access_key_that_is_not_there_is_said_and_waited_for() -> None:
    tenant = Tenant(there=False)
    assert await tenant.says() == "CredentialsNotFound"
    assert await tenant.woken() == set()
    tenant.write_keys()
    assert await tenant.woken() == {OWN, SECRET}
    assert await tenant.says() == "Identified"
    looks = tenant.cosmos.secrets.looks
    assert (await tenant.woken(), tenant.cosmos.secrets.looks) == (set(), looks)


async def test_the_rotating_secret_says_the_same_as_its_connection() -> None:
    tenant = Tenant(there=False)
    await tenant.process.look(SECRET)
    seen = tenant.cosmos.objects.stored["RotatingSecret", NAMESPACE, "orders-db"]
    assert condition(seen, "Stalled")["reason"] == "CredentialsNotFound"


@pytest.mark.parametrize("where", ["the identity", "a poll"])
async def test_an_access_key_that_aws_refuses_is_read_again_and_another_one_waited_for(where: str) -> None:
    tenant = Tenant(there=True)
    assert await tenant.says() == "Identified"
    refused = Failure(kind=FailureKind.DENIED, reason="CredentialsUnusable", message="m")
    if where == "a poll":
        tenant.cosmos.aws.trouble = refused
    else:
        tenant.cosmos.aws.failures["identity"] = OutsideError(refused.kind, reason=refused.reason, message=refused.message)
    read = tenant.cosmos.objects.credentials_read
    assert await tenant.says() == "CredentialsUnusable"
    assert tenant.cosmos.objects.credentials_read == read  # within the minute for which they are kept
    assert await tenant.woken() == set()
    tenant.write_keys()
    assert await tenant.woken() == {OWN, SECRET}
    await tenant.says()
    assert tenant.cosmos.objects.credentials_read == read + 1


async def test_another_access_key_that_is_there_before_the_first_look_is_noticed_by_that_look() -> None:
    tenant = Tenant(there=True)
    await tenant.says()
    tenant.cosmos.aws.trouble = Failure(kind=FailureKind.DENIED, reason="CredentialsUnusable", message="m")
    await tenant.says()
    tenant.write_keys()
    assert await tenant.woken() == {OWN, SECRET}


async def test_an_access_key_that_may_too_little_is_kept_and_nothing_is_waited_for() -> None:
    tenant = Tenant(there=True)
    tenant.cosmos.aws.trouble = Failure(kind=FailureKind.DENIED, reason="SourceAccessDenied", message="m")
    assert await tenant.says() == "SourceAccessDenied"
    assert (await tenant.woken(), tenant.cosmos.secrets.looks) == (set(), 0)
