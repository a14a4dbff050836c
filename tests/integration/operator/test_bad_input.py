"""Errors that a user makes, and what he reads: a condition with one sentence that says what is wrong, and the last good content stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Object, condition
from tests.support.shop import Shop

from keyturn_lab.aws.client import CLIENT_KEY
from keyturn_lab.controlplane import ApiError

IDENTITY = "arn:aws:"
NOTICED = 60.0  # seconds: a Secret in the way is looked at four times a minute; an object that waits for nothing else, after five
MONTHLY = {"schedule": {"every": "30d", "window": "0s"}}


@pytest.fixture
def mirrored(shop: Shop) -> Shop:
    """A tenant whose RotatingSecret `db` is mirrored."""
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    return shop


def secret(name: str = "db", *, data: dict[str, str] | None = None, **metadata: Any) -> Object:
    """A Secret that somebody else made."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name} | metadata, "stringData": data or {"theirs": "kept"}}


def until_a_second_after(item: Object, *, seconds: int = 1) -> None:
    """Creation times have whole seconds, and what was created in one second has no order."""
    created = datetime.fromisoformat(item["metadata"]["creationTimestamp"])
    wait_until(lambda: datetime.now(UTC) > created + timedelta(seconds=seconds + 1), what="the next second")


# --- the spec --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"rotation": {"schedule": {"cron": "61 3 * * SUN"}}}, "spec.rotation.schedule.cron"),
        ({"rotation": {"schedule": {"cron": "0 3 * * SUN", "timeZone": "Europe/Atlantis"}}}, "spec.rotation.schedule.timeZone"),
        ({"target": {"template": {"URL": "{{ username"}}}, "URL"),
        ({"target": {"template": {"URL": "{% for a in username %}{% endfor %}"}}}, "URL"),
    ],
    ids=["cron", "zone", "template", "loop"],
)
def test_what_the_schema_cannot_check_is_an_invalid_spec_that_names_the_field(shop: Shop, spec: dict[str, Any], field: str) -> None:
    shop.put("db")
    shop.rotating_secret("db", **spec)
    assert field in shop.stalled("InvalidSpec")
    assert shop.kube.find("Secret", "db") is None


def test_an_edit_that_makes_the_spec_invalid_leaves_the_secret_and_one_that_mends_it_goes_on(mirrored: Shop) -> None:
    good = mirrored.data("db")
    mirrored.rotating_secret("db", target={"template": {"URL": "{{"}})
    mirrored.stalled("InvalidSpec")
    assert mirrored.data("db") == good
    mirrored.rotating_secret("db", target={"template": {"URL": "x-{{ username }}"}})
    mirrored.ready("db")
    assert mirrored.data("db") == good | {"URL": "x-app"}


# --- the source ------------------------------------------------------------------------------------------------------


def test_a_secret_that_aws_does_not_know_is_source_not_found_until_it_is_there(shop: Shop) -> None:
    shop.rotating_secret("db")
    assert shop.secret_id() in shop.stalled("SourceNotFound")
    shop.put("db")
    shop.ready("db", timeout=60)


def test_a_secret_that_is_deleted_in_aws_keeps_its_last_content(mirrored: Shop) -> None:
    good = mirrored.data("db")
    mirrored.aws.client("secretsmanager").delete_secret(SecretId=mirrored.secret_id(), RecoveryWindowInDays=7)
    assert mirrored.secret_id() in mirrored.stalled("SourceDeleted", timeout=60)
    assert mirrored.data("db") == good
    mirrored.aws.client("secretsmanager").restore_secret(SecretId=mirrored.secret_id())
    mirrored.ready("db", timeout=60)


def test_a_denied_action_is_named_with_the_identity_and_the_secret_and_mended_by_allowing_it(shop: Shop) -> None:
    shop.put("db")
    with shop.aws.faults.on("deny", action="GetSecretValue", secret=shop.secret_id(), caller=CLIENT_KEY):
        shop.rotating_secret("db")
        message = shop.stalled("SourceAccessDenied")
        assert "secretsmanager:GetSecretValue" in message
        assert IDENTITY in message
        assert shop.secret_id() in message
    shop.rotating_secret("db", historyLimit=5)
    shop.ready("db")


def test_a_denial_after_the_first_mirror_leaves_the_last_content(mirrored: Shop) -> None:
    good = mirrored.data("db")
    with mirrored.aws.faults.on("deny", action="*", secret=mirrored.secret_id(), caller=CLIENT_KEY):
        mirrored.promote("db")
        mirrored.rotating_secret("db", target={"labels": {"team": "shop"}})
        assert "secretsmanager:" in mirrored.stalled("SourceAccessDenied", timeout=60)
        assert mirrored.data("db") == good


def test_a_kms_key_that_is_disabled_is_named_and_the_last_content_stays(mirrored: Shop) -> None:
    good = mirrored.data("db")
    with mirrored.aws.faults.on("kms-disabled", secret=mirrored.secret_id()):
        mirrored.rotating_secret("db", target={"template": {"MORE": "{{ username }}"}})
        assert "KMS key" in mirrored.stalled("SourceKeyUnusable")
        assert mirrored.data("db") == good


# --- the connection --------------------------------------------------------------------------------------------------


def test_a_connection_that_is_not_there_is_named_and_no_call_of_aws_is_made(shop: Shop) -> None:
    shop.put("db")
    uses = 10_000
    with shop.aws.faults.on("latency", secret=shop.secret_id(), caller=CLIENT_KEY, calls=uses) as counter:
        shop.rotating_secret("db", connectionRef={"name": "elsewhere"})
        assert "elsewhere" in shop.stalled("ConnectionNotFound")
        shop.run("now")
        assert "elsewhere" in condition(shop.over("now"), "Failed")["message"]
        assert calls_left(shop, counter) == uses
        shop.rotating_secret("db")
        shop.ready("db")
        assert calls_left(shop, counter) < uses  # the switch does count


def calls_left(shop: Shop, fault_id: str) -> int:
    """How many more calls a fault meets."""
    return next(fault.calls or 0 for fault in shop.aws.faults.listed() if fault.fault_id == fault_id)


@pytest.mark.parametrize(
    "connection",
    [
        {"namespaces": {"names": ["somebody-else"]}, "secrets": ["**"], "verbs": ["Mirror", "Rotate"]},
        {"namespaces": {"all": True}, "secrets": ["somebody-else/*"], "verbs": ["Mirror", "Rotate"]},
        {"namespaces": {"all": True}, "secrets": ["**"], "verbs": ["Rotate"]},
    ],
    ids=["namespace", "secret", "verb"],
)
def test_what_a_connection_does_not_allow_is_refused_before_any_call_of_aws(shop: Shop, connection: Object) -> None:
    shop.put("db", rotation=False)
    with allowing(shop, connection) as name:
        shop.aws.reset_calls()
        shop.rotating_secret("db", connectionRef={"name": name})
        assert name in shop.stalled("NotAllowed")
        calls = shop.aws.calls(of=CLIENT_KEY)
        assert not {"GetSecretValue", "BatchGetSecretValue", "DescribeSecret"} & set(calls), calls
        assert shop.kube.find("Secret", "db") is None


def test_a_run_is_refused_where_the_connection_allows_only_to_mirror(shop: Shop) -> None:
    before = shop.put("db")
    with allowing(shop, {"namespaces": {"all": True}, "secrets": ["{namespace}/*"], "verbs": ["Mirror"]}) as name:
        shop.rotating_secret("db", connectionRef={"name": name})
        shop.ready("db")
        shop.run("now")
        assert condition(shop.over("now"), "Failed")["reason"] == "NotAllowed"
        assert shop.current("db") == before


@contextmanager
def allowing(shop: Shop, rule: Object) -> Iterator[str]:
    """A ClusterAWSConnection with one rule, called like the tenant's namespace."""
    name, spec = shop.namespace, {"region": "eu-west-1", "pollInterval": "10s", "allow": [rule]}
    shop.kube.apply({"apiVersion": "keyturn.dev/v1alpha1", "kind": "ClusterAWSConnection", "metadata": {"name": name}, "spec": spec})
    yield name
    shop.kube.delete("ClusterAWSConnection", name)


# --- the content -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "target", "named"),
    [
        ({"username": "app"}, {"template": {"URL": "{{ host }}"}}, "host"),
        ({"username": "app"}, {"require": ["password"]}, "password"),
        ({"username": "app"}, {"keys": [{"from": "password", "to": "PASSWORD"}]}, "password"),
        ({"host": "db"}, {"type": "kubernetes.io/basic-auth"}, "username"),
        ({"user name": "app"}, {}, "user name"),
        ({"big": "x" * 60_000}, {"template": {f"K{n}": "{{ big }}" for n in range(20)}}, "1 MiB"),
        (b"\x00\xff", {"template": {"URL": "{{ value }}"}}, "binary"),
    ],
    ids=["template", "require", "keys", "type", "key", "size", "binary"],
)
def test_content_that_cannot_be_rendered_is_invalid_and_named_and_nothing_is_written(
    shop: Shop, value: Any, target: dict[str, Any], named: str
) -> None:
    shop.put("db", rotation=False, value=value if isinstance(value, bytes) else json.dumps(value))
    shop.rotating_secret("db", target=target)
    assert named in shop.stalled("ContentInvalid")
    assert shop.kube.find("Secret", "db") is None


def test_a_binary_value_is_mirrored_as_bytes_under_value(shop: Shop) -> None:
    shop.put("db", rotation=False, value=b"\x00\xff\xfe")
    shop.rotating_secret("db")
    shop.ready("db")
    assert shop.kube.get("Secret", "db")["data"] == {"value": "AP/+"}


def test_an_edit_that_makes_the_content_invalid_keeps_the_last_good_content_and_is_undone_by_another(mirrored: Shop) -> None:
    good = mirrored.data("db")
    mirrored.rotating_secret("db", target={"require": ["absent"]})
    assert "absent" in mirrored.stalled("ContentInvalid")
    assert mirrored.data("db") == good
    mirrored.rotating_secret("db")
    mirrored.ready("db")
    assert mirrored.data("db") == good


# --- the target ------------------------------------------------------------------------------------------------------


def test_a_secret_that_is_not_ours_is_left_alone(shop: Shop) -> None:
    shop.put("db")
    theirs = shop.kube.create(secret())
    shop.rotating_secret("db")
    assert "exists and is not Keyturn's" in shop.stalled("TargetConflict")
    assert shop.kube.get("Secret", "db")["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]


def test_a_secret_that_is_in_the_way_and_goes_is_replaced(shop: Shop) -> None:
    shop.put("db")
    shop.kube.create(secret())
    shop.rotating_secret("db")
    shop.stalled("TargetConflict")
    shop.kube.delete("Secret", "db")
    shop.ready("db", timeout=NOTICED)
    assert shop.data("db") == shop.value("db")


def test_a_secret_that_comes_to_consent_is_adopted_without_an_edit(shop: Shop) -> None:
    shop.put("db")
    shop.kube.create(secret())
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    shop.stalled("TargetConflict")
    shop.kube.patch("Secret", "db", {"metadata": {"annotations": {"keyturn.dev/adopt-by": "db"}}})
    shop.ready("db", timeout=NOTICED)
    assert shop.data("db") == shop.value("db")


def test_a_run_whose_secret_was_taken_goes_on_once_the_other_one_is_gone(mirrored: Shop) -> None:
    mirrored.rotating_secret("db", suspend="Everything")  # or it would be back at once
    wait_until(lambda: mirrored.kube.get("RotatingSecret", "db")["status"]["observedGeneration"] == 2, what="the suspension")
    mirrored.kube.delete("Secret", "db")
    mirrored.kube.create(secret())
    mirrored.run("now")
    mirrored.rotating_secret("db")
    mirrored.step_is("now", "Mirror", "Waiting", saying="is not Keyturn's")
    mirrored.kube.delete("Secret", "db")
    assert condition(mirrored.over("now"), "Complete")["reason"] == "Adopted"
    assert mirrored.data("db") == mirrored.value("db")


def test_adopting_needs_the_consent_of_the_secret(shop: Shop) -> None:
    shop.put("db")
    theirs = shop.kube.create(secret())
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    assert "keyturn.dev/adopt-by=db" in shop.stalled("TargetConflict")
    assert shop.kube.get("Secret", "db")["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]


def test_an_adopted_secret_has_its_whole_data_replaced_and_no_owner(shop: Shop) -> None:
    shop.put("db")
    applied = {"keyturn.dev/adopt-by": "db", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    theirs = shop.kube.create(secret(annotations=applied, labels={"team": "shop"}))
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    shop.ready("db")
    ours = shop.kube.get("Secret", "db")
    assert shop.data("db") == shop.value("db")
    assert ours["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert "ownerReferences" not in ours["metadata"]
    assert ours["metadata"]["labels"]["team"] == "shop"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in ours["metadata"]["annotations"]


def test_an_adopted_secret_of_the_same_content_restarts_nothing(shop: Shop) -> None:
    shop.put("db")
    theirs = shop.kube.create(secret(data=shop.value("db"), annotations={"keyturn.dev/adopt-by": "db"}))
    until_a_second_after(theirs, seconds=3)  # only then a pod's start proves that it read this content
    before = shop.deployment("web")
    shop.kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 1)
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    shop.ready("db")
    shop.adopted("db")
    assert shop.runs() == []
    assert shop.kube.get("Deployment", "web")["metadata"]["generation"] == before["metadata"]["generation"]


def test_pods_that_ran_on_the_same_content_before_the_secret_came_to_consent_count_as_adopted(shop: Shop) -> None:
    shop.put("db")
    theirs = shop.kube.create(secret(data=shop.value("db")))
    until_a_second_after(theirs, seconds=3)
    shop.deployment("web")
    shop.kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 1)
    (pod,) = shop.kube.list("Pod", labels="app=web")
    until_a_second_after(pod)
    shop.kube.client.request(
        "PATCH",
        f"/api/v1/namespaces/{shop.namespace}/secrets/db?fieldManager=kubectl-annotate",
        {"metadata": {"annotations": {"keyturn.dev/adopt-by": "db"}}},
        content_type="application/merge-patch+json",
    )
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    shop.adopted("db")
    assert shop.runs() == []
    assert [pod["metadata"]["uid"] for pod in shop.kube.list("Pod", labels="app=web")] == [pod["metadata"]["uid"]]


def test_a_secret_that_another_tool_manages_is_not_adopted(shop: Shop) -> None:
    shop.put("db")
    shop.kube.create(secret(annotations={"keyturn.dev/adopt-by": "db"}, labels={"reconcile.external-secrets.io/managed": "true"}))
    shop.kube.client.request(
        "PATCH",
        f"/api/v1/namespaces/{shop.namespace}/secrets/db?fieldManager=externalsecrets.external-secrets.io%2Fdb&force=true",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"theirs": "a2VwdA=="}},
        content_type="application/apply-patch+yaml",
    )
    shop.rotating_secret("db", target={"conflict": "Adopt"})
    assert "is managed by" in shop.stalled("TargetConflict")
    assert shop.data("db") == {"theirs": "kept"}


def test_of_two_that_write_one_secret_the_younger_is_refused(mirrored: Shop) -> None:
    mirrored.put("other")
    mirrored.rotating_secret("younger", secret="other", target={"name": "db"})
    assert "RotatingSecret db, which was first" in mirrored.stalled("TargetConflict", "younger")
    assert mirrored.data("db") == mirrored.value("db")


def test_of_two_that_rotate_one_secret_by_schedule_the_younger_starts_none_and_still_mirrors(shop: Shop) -> None:
    shop.put("db")
    older = shop.rotating_secret("db", rotation=MONTHLY)
    shop.ready("db")
    until_a_second_after(older)
    shop.rotating_secret("younger", secret="db", rotation=MONTHLY)
    assert f"{shop.namespace}/db" in shop.says("RotationOnTime", "False", "RotationConflict", "younger")
    shop.ready("younger")
    assert shop.data("younger") == shop.value("db")
    shop.kube.delete("RotatingSecret", "db")
    shop.says("RotationOnTime", "True", "Scheduled", "younger")


# --- the end ---------------------------------------------------------------------------------------------------------


def test_by_default_the_secret_goes_with_its_rotating_secret(mirrored: Shop) -> None:
    mirrored.kube.delete("RotatingSecret", "db")
    mirrored.kube.wait_gone("Secret", "db", timeout=60)  # the garbage collector learns of new kinds twice a minute


def test_with_retain_the_secret_stays_as_it_was(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db", target={"deletion": "Retain"})
    shop.ready("db")
    good = shop.data("db")
    shop.kube.delete("RotatingSecret", "db")
    shop.kube.wait_gone("RotatingSecret", "db")
    shop.put("other")
    shop.rotating_secret("other")  # when this is done, the operator has seen the deletion
    shop.ready("other")
    assert shop.data("db") == good


def test_an_active_run_goes_with_its_rotating_secret_and_the_others_go_on(mirrored: Shop) -> None:
    mirrored.deployment("web", script="exit 1")
    mirrored.run("now")
    mirrored.step_is("now", "Rollout", "Running")
    mirrored.kube.delete("RotatingSecret", "db")
    mirrored.kube.wait_gone("RotationRun", "now", timeout=60)
    mirrored.put("other")
    mirrored.rotating_secret("other")
    mirrored.ready("other")


def test_a_namespace_goes_while_a_rotation_is_under_way(mirrored: Shop) -> None:
    mirrored.deployment("web")
    mirrored.run("now")
    mirrored.step_is("now", "Rotate", "Succeeded")
    mirrored.kube.delete("Deployment", "web")
    wait_until(lambda: delete_pods(mirrored), what="the pods to be gone")
    mirrored.kube.delete("Namespace", mirrored.namespace)
    mirrored.kube.wait_gone("Namespace", mirrored.namespace, timeout=60)


def delete_pods(shop: Shop) -> bool:
    """Ask the pods to go at once; whether they have gone."""
    pods = shop.kube.list("Pod")
    for pod in pods:
        shop.kube.delete("Pod", pod["metadata"]["name"], grace=0)
    return not pods


def test_the_schema_refuses_with_the_fields_path(shop: Shop) -> None:
    with pytest.raises(ApiError, match=r"spec\.rotation\.schedule"):
        shop.rotating_secret("db", rotation={"schedule": {"every": "30d", "cron": "0 3 * * SUN"}})


# --- nothing secret --------------------------------------------------------------------------------------------------

CANARY = "c4n4ry-3f9b1d7a55"


@pytest.fixture
def canaries(shop: Shop) -> Shop:
    """A tenant whose values all hold a canary."""
    shop.put("good", password=CANARY)
    shop.put("field", rotation=False, value=json.dumps({"user name": CANARY}))
    shop.put("plain", rotation=False, value=CANARY)
    shop.put("template", rotation=False, value=json.dumps({"username": CANARY, "nested": {"a": CANARY}}))
    shop.put("docker", rotation=False, value=json.dumps({".dockerconfigjson": "{" + CANARY}))
    return shop


def test_no_value_is_in_any_log_status_event_or_metric(canaries: Shop, operator: Any) -> None:
    canaries.rotating_secret("good")
    canaries.rotating_secret("field")
    canaries.rotating_secret("plain", target={"require": ["password"]})
    canaries.rotating_secret("template", target={"template": {"URL": "{{ nested }}{{ absent }}"}})
    canaries.rotating_secret("docker", target={"type": "kubernetes.io/dockerconfigjson"})
    canaries.ready("good")
    for name in ("field", "plain", "template", "docker"):
        canaries.stalled("ContentInvalid", name)
    canaries.run("now", of="good")
    canaries.over("now")
    canaries.kube.patch("Secret", "good", {"stringData": {"more": CANARY}})
    wait_until(lambda: "more" not in canaries.data("good"), what="the repair")
    wait_until(lambda: canaries.events("field"), what="an event")
    said = [operator.text(), operator.metrics()]
    said += [json.dumps(canaries.kube.list(kind)) for kind in ("RotatingSecret", "RotationRun", "Event")]
    said += [json.dumps(item["metadata"]) for item in canaries.kube.list("Secret")]
    assert [text for text in said if CANARY in text] == []
