"""From a connection's status to the account that its permissions are held to."""

from __future__ import annotations

import pytest

from keyturn.api import ClusterAWSConnection, Verb
from keyturn.domain.permission import Tenant, permitted
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
    decision = permitted(secret_id=other, verb=Verb.MIRROR, tenant=Tenant(namespace="shop", labels={}), connection=view)
    assert not decision.allowed
    assert "210987654321" in decision.message
