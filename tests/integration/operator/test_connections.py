"""Connections: the identity that they tell, credentials of a namespace's own, and what becomes of those that do not work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import cast

from tests.support.kstatus import check_conditions, kstatus
from tests.support.kube import Kube, Object, condition
from tests.support.lab import fresh_namespace
from tests.support.shop import Shop

from keyturn_lab.aws.client import CLIENT_KEY
from keyturn_lab.aws.faults import FaultKind
from keyturn_lab.controlplane import ControlPlane

OWN_KEY = "tenants-own"
NOTICED = 90.0  # seconds: a Secret that is waited for is looked at four times a minute, what works every five minutes
STATIC = {"kind": "AWSConnection", "name": "own"}


def credentials(name: str = "keys", key: str = OWN_KEY) -> Object:
    """A Secret with an access key, as a connection reads it."""
    data = {"aws_access_key_id": key, "aws_secret_access_key": "lab"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def own_connection(name: str = "own", *, keys: str = "keys") -> Object:
    """A connection of the tenant's namespace."""
    spec = {"region": "eu-west-1", "pollInterval": "10s", "auth": {"staticCredentials": {"secretRef": {"name": keys}}}}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "AWSConnection", "metadata": {"name": name}, "spec": spec}


def stalled(kube: Kube, reason: str, name: str = "own") -> str:
    """The message of a tenant's connection, once it is Stalled for that reason."""
    seen = kube.wait_for("AWSConnection", name, lambda seen: condition(seen, "Stalled")["reason"] == reason, timeout=NOTICED)
    assert check_conditions(seen) == []
    assert kstatus(seen) == "Failed"
    return str(condition(seen, "Stalled")["message"])


def ready(kube: Kube, kind: str, name: str, *, timeout: float = 15) -> Object:
    """The connection, once it is Ready."""
    seen = kube.wait_for(kind, name, lambda seen: condition(seen, "Ready")["status"] == "True", timeout=timeout)
    assert check_conditions(seen) == []
    assert kstatus(seen) == "Current"
    return seen


def test_the_cluster_connection_tells_the_identity_in_use(shop: Shop) -> None:
    seen = ready(shop.kube, "ClusterAWSConnection", "default")
    assert seen["status"]["identity"].startswith("arn:aws:sts::123456789012:")
    assert seen["status"]["lastSuccessTime"]
    assert seen["status"]["identity"] in condition(seen, "Ready")["message"]


def test_a_namespaced_connection_uses_its_own_credentials_and_never_the_operators(shop: Shop) -> None:
    shop.kube.create(credentials())
    shop.kube.apply(own_connection())
    ready(shop.kube, "AWSConnection", "own")
    shop.put("db", rotation=False)
    before = shop.aws.calls(of=OWN_KEY)
    shop.rotating_secret("db", connectionRef=STATIC)
    shop.ready("db")
    assert shop.data("db") == shop.value("db")
    used = shop.aws.calls(of=OWN_KEY) - before
    assert {"GetSecretValue", "BatchGetSecretValue"} & set(used)


def test_a_namespaced_connection_rotates_with_its_own_credentials(shop: Shop) -> None:
    shop.kube.create(credentials())
    shop.kube.apply(own_connection())
    shop.put("db")
    shop.rotating_secret("db", connectionRef=STATIC)
    shop.ready("db")
    shop.run("now")
    assert condition(shop.over("now"), "Complete")["reason"] == "Adopted"
    assert shop.aws.calls(of=OWN_KEY)["RotateSecret"] >= 1


def test_a_namespaced_connection_without_its_credentials_names_the_secret_that_is_missing_and_recovers(shop: Shop) -> None:
    shop.kube.apply(own_connection())
    assert "keys" in stalled(shop.kube, "CredentialsNotFound")
    shop.put("db", rotation=False)
    shop.rotating_secret("db", connectionRef=STATIC)
    assert "keys" in shop.stalled("CredentialsNotFound")
    shop.kube.create(credentials())
    ready(shop.kube, "AWSConnection", "own", timeout=NOTICED)
    shop.ready("db", timeout=NOTICED)


def test_credentials_that_lack_a_key_name_it_and_are_mended_by_adding_it(shop: Shop) -> None:
    whole = credentials()
    shop.kube.create(whole | {"stringData": {"aws_access_key_id": OWN_KEY}})
    shop.kube.apply(own_connection())
    assert "aws_secret_access_key" in stalled(shop.kube, "CredentialsInvalid")
    shop.kube.patch("Secret", "keys", {"stringData": whole["stringData"]})
    ready(shop.kube, "AWSConnection", "own", timeout=NOTICED)


def test_another_access_key_in_the_place_of_one_that_aws_refuses_is_taken_up(shop: Shop) -> None:
    first, second = f"first-{shop.namespace}", f"second-{shop.namespace}"
    shop.kube.create(credentials(key=first))
    shop.kube.apply(own_connection())
    shop.put("db", rotation=False)
    shop.rotating_secret("db", connectionRef=STATIC)
    shop.ready("db")
    good = shop.data("db")
    with shop.aws.faults.on("error", caller=first, code="UnrecognizedClientException", message="invalid token", status=400):
        stalled(shop.kube, "CredentialsUnusable")
        version = shop.promote("db")
        assert condition(shop.kube.get("RotatingSecret", "db"), "Ready")["status"] == "True"
        assert shop.data("db") == good
        shop.kube.patch("Secret", "keys", {"stringData": {"aws_access_key_id": second}})
        ready(shop.kube, "AWSConnection", "own", timeout=NOTICED)
        shop.ready("db", version=version, timeout=NOTICED)
    assert {"GetSecretValue", "BatchGetSecretValue"} & set(shop.aws.calls(of=second))


TROUBLES = {
    "throttle": ("Throttled", "InProgress"),
    "error": ("AWSUnavailable", "InProgress"),
    "deny": ("SourceAccessDenied", "Failed"),
}
"""Faults of the lab's AWS, what a connection says of each, and what kstatus makes of that."""


def test_connections_whose_polls_fail_for_a_while_say_so_keep_what_is_mirrored_and_recover(shop: Shop) -> None:
    keys = {fault: f"{fault}-{shop.namespace}" for fault in TROUBLES}
    for fault, key in keys.items():
        shop.kube.create(credentials(f"keys-{fault}", key))
        shop.kube.apply(own_connection(fault, keys=f"keys-{fault}"))
        shop.put(fault, rotation=False)
        shop.rotating_secret(fault, connectionRef={"kind": "AWSConnection", "name": fault})
    good = {fault: shop.ready(fault)["status"]["mirror"] for fault in TROUBLES}
    versions = {}
    with ExitStack() as stack:
        for fault, key in keys.items():
            stack.enter_context(shop.aws.faults.on(cast("FaultKind", fault), caller=key))
            versions[fault] = shop.promote(fault)
        for fault, (reason, verdict) in TROUBLES.items():
            seen = shop.kube.wait_for("AWSConnection", fault, is_not_ready_for(reason), timeout=NOTICED)
            assert (kstatus(seen), check_conditions(seen)) == (verdict, [])
        for fault in TROUBLES:
            kept = shop.kube.get("RotatingSecret", fault)
            assert (condition(kept, "Ready")["status"], kept["status"]["mirror"]) == ("True", good[fault])
    for fault in TROUBLES:
        ready(shop.kube, "AWSConnection", fault, timeout=NOTICED)
        shop.ready(fault, version=versions[fault], timeout=NOTICED)
        assert shop.data(fault) == shop.value(fault)


def is_not_ready_for(reason: str) -> Callable[[Object], bool]:
    """Ready is False for that reason."""
    return lambda seen: (condition(seen, "Ready")["status"], condition(seen, "Ready")["reason"]) == ("False", reason)


def test_a_connection_of_another_namespace_is_not_there(shop: Shop, control_plane: ControlPlane) -> None:
    with elsewhere(shop, control_plane) as other:
        other.kube.create(credentials())
        other.kube.apply(own_connection())
        ready(other.kube, "AWSConnection", "own")
        shop.put("db", rotation=False)
        shop.rotating_secret("db", connectionRef=STATIC)
        assert "own" in shop.stalled("ConnectionNotFound")


@contextmanager
def elsewhere(shop: Shop, plane: ControlPlane) -> Iterator[Shop]:
    """Another tenant."""
    with fresh_namespace(plane) as namespace:
        yield replace(shop, namespace=namespace, kube=Kube(plane.client, namespace))


def test_a_cluster_connection_whose_identity_may_nothing_says_so(shop: Shop) -> None:
    name = shop.namespace
    with shop.aws.faults.on("error", action="sts:*", caller=CLIENT_KEY, code="ExpiredToken", status=403):
        spec = {"region": "eu-west-2"}
        shop.kube.apply({"apiVersion": "keyturn.dev/v1alpha1", "kind": "ClusterAWSConnection", "metadata": {"name": name}, "spec": spec})
        seen = shop.kube.wait_for("ClusterAWSConnection", name, lambda seen: condition(seen, "Stalled")["reason"] == "CredentialsUnusable")
        assert check_conditions(seen) == []
    shop.kube.delete("ClusterAWSConnection", name)


def test_a_connection_that_appears_later_is_used_by_those_who_wait_for_it(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db", connectionRef={"name": shop.namespace})
    shop.stalled("ConnectionNotFound")
    rule = {"namespaces": {"names": [shop.namespace]}, "secrets": ["{namespace}/*"], "verbs": ["Mirror"]}
    shop.kube.apply(
        {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ClusterAWSConnection",
            "metadata": {"name": shop.namespace},
            "spec": {"region": "eu-west-1", "allow": [rule]},
        }
    )
    shop.ready("db")
    shop.kube.delete("ClusterAWSConnection", shop.namespace)
