"""From a connection's status to the account that its permissions are held to."""

from __future__ import annotations

import pytest
from tests.support.process import Cosmos, Process

from keyturn.api import ClusterAWSConnection
from keyturn.domain.patterns import matches
from keyturn.domain.permission import Tenant, permissions
from keyturn.engine.keys import Key, Kind
from keyturn.engine.reach import account_of, permission_view

ALLOW = [{"namespaces": {"all": True}, "secrets": ["**"], "verbs": ["Mirror"]}]
KEY = Key(Kind.CLUSTER_CONNECTION, "", "default")


@pytest.mark.parametrize(
    ("identity", "account"),
    [
        ("arn:aws:sts::123456789012:assumed-role/keyturn/session", "123456789012"),
        ("arn:aws-cn:iam::123456789012:user/keyturn", "123456789012"),
        ("arn:aws:iam::aws:policy/x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_account_is_that_of_the_identity(identity: str | None, account: str | None) -> None:
    assert account_of(identity) == account


def test_a_connection_is_held_to_the_account_of_its_identity() -> None:
    identity = "arn:aws:sts::123456789012:assumed-role/keyturn/session"
    spec = {"region": "eu-west-1", "allow": ALLOW}
    made = ClusterAWSConnection.model_validate({"spec": spec, "status": {"identity": identity}})
    view = permission_view(KEY, made)
    other = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:shop/db-AbCdEf"
    decision = permissions(secret_id=other, tenant=Tenant(namespace="shop", labels={}), connection=view).mirror
    assert not decision.allowed
    assert "210987654321" in decision.message


async def test_one_pass_over_an_object_decides_once_what_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of what matches the patterns of the connection's one rule would be two decisions."""
    asked: list[str] = []

    def counted(pattern: str, name: str, *, namespace: str) -> bool:
        asked.append(name)
        return matches(pattern, name, namespace=namespace)

    monkeypatch.setattr("keyturn.domain.permission.matches", counted)
    cosmos = Cosmos()
    cosmos.objects.add("RotatingSecret", "shop", "orders-db", {"secretId": cosmos.aws.name})
    process = Process(cosmos)
    process.hear()
    await process.look(Key(Kind.SECRET, "shop", "orders-db"))
    assert asked == [cosmos.aws.name]
