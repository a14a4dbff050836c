"""Every pod of the chart may run under Pod Security's level `restricted`, whatever the values; the oracle that says so finds breaches."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.chart.rendering import CASES, container, of_kind, one, render, rendered
from tests.support.pod_security import violations

POD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
Json = dict[str, Any]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_of_the_chart_is_restricted(case: str) -> None:
    pods = [item["spec"]["template"]["spec"] for kind in POD_KINDS for item in of_kind(rendered(case).objects, kind)]
    assert [violations(pod) for pod in pods] == [[]]


@pytest.mark.parametrize("case", CASES)
def test_no_other_kind_makes_pods(case: str) -> None:
    assert {item["kind"] for item in rendered(case).objects}.isdisjoint({"CronJob", "Pod", "ReplicationController"})


def test_the_operator_writes_nowhere_but_to_tmp() -> None:
    objects = render({})
    assert container(objects)["securityContext"]["readOnlyRootFilesystem"] is True
    assert container(objects)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_the_operator_runs_as_the_images_own_user() -> None:
    context = one(render({}), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (65532, 65532)


BREACHES: dict[str, tuple[Json, Json]] = {
    # what is set on the pod, what is set on its container
    "hostNetwork": ({"hostNetwork": True}, {}),
    "hostPID": ({"hostPID": True}, {}),
    "hostIPC": ({"hostIPC": True}, {}),
    "volume tmp": ({"volumes": [{"name": "tmp", "hostPath": {"path": "/"}}]}, {}),
    "sysctl kernel.msgmax": ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, {}),
    "privileged": ({}, {"securityContext": {"privileged": True}}),
    "allowPrivilegeEscalation": ({}, {"securityContext": {"allowPrivilegeEscalation": True}}),
    "capabilities": ({}, {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}),
    "runAsNonRoot": ({}, {"securityContext": {"runAsNonRoot": False}}),
    "runAsUser": ({}, {"securityContext": {"runAsUser": 0}}),
    "seccompProfile": ({}, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
    "appArmorProfile": ({}, {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
    "seLinuxOptions": ({}, {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}),
    "procMount": ({}, {"securityContext": {"procMount": "Unmasked"}}),
    "hostProcess": ({}, {"securityContext": {"windowsOptions": {"hostProcess": True}}}),
    "hostPort 80": ({}, {"ports": [{"containerPort": 80, "hostPort": 80}]}),
    "host of livenessProbe": ({}, {"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_the_oracle_finds_a_pod_that_is_not_restricted(breach: str) -> None:
    of_the_pod, of_the_container = BREACHES[breach]
    pod = copy.deepcopy(one(render({}), "Deployment")["spec"]["template"]["spec"])
    pod = _with(pod, of_the_pod)
    pod["containers"] = [_with(pod["containers"][0], of_the_container)]
    assert any(breach in finding for finding in violations(pod))


def test_the_oracle_finds_a_pod_that_says_nothing() -> None:
    found = violations({"containers": [{"name": "main"}]})
    assert found == [f"main: {what}" for what in ("allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile")]


def _with(item: Json, changes: Json) -> Json:
    merged = {key: {**item.get(key, {}), **value} if isinstance(value, dict) else value for key, value in changes.items()}
    return {**item, **merged}
