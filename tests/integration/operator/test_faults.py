"""The operator killed in the middle, the API server restarted, AWS throttling or denying: one rotation only, and everything adopted.

The module has a lab of its own, because its tests restart what others share.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import rotator
from tests.support.eventually import wait_until
from tests.support.kube import Kube, condition
from tests.support.lab import fresh_namespace, running_node
from tests.support.operator import Operator, install, running_operator
from tests.support.shop import Shop

from keyturn_lab.aws import Aws
from keyturn_lab.aws.client import CLIENT_KEY
from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """This module's own control plane."""
    with ControlPlane() as running:
        install(running)
        yield running


@pytest.fixture(scope="module")
def pods(plane: ControlPlane) -> Iterator[Node]:
    """This module's own node."""
    with running_node(plane) as running:
        yield running


@pytest.fixture(scope="module")
def own_aws() -> Iterator[Aws]:
    """This module's own AWS."""
    with Aws(region="eu-west-1") as running:
        yield running


@pytest.fixture(scope="module")
def leader(plane: ControlPlane, own_aws: Aws) -> Iterator[Operator]:
    """The operator, which tests kill and start again."""
    with running_operator(plane, own_aws.environment) as running:
        yield running


@pytest.fixture
def tenant(leader: Operator, plane: ControlPlane, pods: Node, own_aws: Aws, tmp_path: Path) -> Iterator[Shop]:
    """A tenant with a rotation function of its own, called like its namespace."""
    with fresh_namespace(plane) as namespace:
        arn = rotator.register(own_aws, namespace, tmp_path)
        made = Shop(plane=plane, kube=Kube(plane.client, namespace), aws=own_aws, namespace=namespace, function=arn)
        yield made
        own_aws.faults.clear()
        assert made.complaints() == []


def slow(tenant: Shop, step: str, seconds: float) -> None:
    """The next rotation takes its time in that step."""
    tenant.aws.faults.set("lambda-hang", action=tenant.namespace, step=step, seconds=seconds, calls=1)


def assert_one_rotation_that_everybody_has(tenant: Shop, run: str) -> None:
    """One run, one RotateSecret that AWS took, and every pod on its version."""
    over = tenant.over(run)
    assert condition(over, "Complete")["reason"] == "Adopted"
    version = tenant.current()
    assert over["status"]["versions"]["to"] == version
    seen = tenant.adopted(version=version)
    assert seen["status"]["adoption"]["podsOnVersion"] == seen["status"]["adoption"]["pods"] > 0
    assert [item["metadata"]["name"] for item in tenant.runs()] == [run]
    creations = [call for call in tenant.aws.invocations(tenant.namespace) if call.step == "finishSecret" and not call.failed]
    assert len(creations) == 1
    assert tenant.data()["password"] == tenant.value()["password"]


def restart(leader: Operator) -> None:
    """SIGKILL, and a new process, which leads when the lease of the old one has run out."""
    leader.kill()
    leader.start()


# --- killed ----------------------------------------------------------------------------------------------------------


def test_killed_after_rotate_secret_it_carries_the_same_rotation_on(tenant: Shop, leader: Operator) -> None:
    tenant.begin()
    slow(tenant, "createSecret", 3)
    tenant.run("now")
    wait_until(lambda: tenant.stages().get("AWSPENDING", tenant.current()) != tenant.current(), what="the rotation in AWS")
    restart(leader)
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_killed_before_rotate_secret_it_starts_one_rotation(tenant: Shop, leader: Operator) -> None:
    tenant.begin()
    tenant.aws.faults.set("hang", action="RotateSecret", caller=CLIENT_KEY, calls=1, seconds=30)
    tenant.run("now")
    tenant.step_is("now", "Rotate", "Running")
    leader.kill()
    tenant.aws.faults.clear()
    leader.start()
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_killed_before_it_could_write_down_what_it_started_it_knows_the_rotation_as_its_own(
    tenant: Shop, leader: Operator, plane: ControlPlane
) -> None:
    before = tenant.begin()
    tenant.aws.faults.set("latency", action="RotateSecret", caller=CLIENT_KEY, calls=1, seconds=3)
    tenant.run("now")
    tenant.step_is("now", "Rotate", "Running")
    plane.stop_apiserver()  # from now on nothing can be written down
    wait_until(lambda: {tenant.stages().get("AWSPENDING"), tenant.current()} - {before, None}, what="the rotation in AWS")
    leader.kill()
    plane.start_apiserver()
    assert "to" not in tenant.kube.get("RotationRun", "now")["status"]["versions"]
    leader.start()
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_killed_while_it_mirrors_it_writes_the_new_content_after_all(tenant: Shop, leader: Operator) -> None:
    tenant.begin()
    before = tenant.current()
    tenant.aws.faults.set("hang", action="*GetSecretValue", caller=CLIENT_KEY, seconds=30)
    tenant.aws.reset_calls()
    tenant.run("now")
    wait_until(lambda: tenant.current() != before, what="the promotion")
    wait_until(lambda: {"GetSecretValue", "BatchGetSecretValue"} & set(tenant.aws.calls(of=CLIENT_KEY)), what="the question for the value")
    leader.kill()
    tenant.aws.faults.clear()
    leader.start()
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_killed_between_the_secrets_write_and_the_restarts_it_restarts_every_workload(tenant: Shop, leader: Operator) -> None:
    tenant.put()
    tenant.rotating_secret()
    for name in ("web", "worker"):
        tenant.deployment(name)
    tenant.adopted()
    old = tenant.data()
    tenant.run("now")
    wait_until(lambda: tenant.data() != old, what="the Secret's new content")
    restart(leader)
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_killed_while_it_rolls_out_it_restarts_nothing_twice(tenant: Shop, leader: Operator) -> None:
    tenant.put()
    rules = [{"kind": "Deployment", "name": "web", "wave": 0}, {"kind": "Deployment", "name": "worker", "wave": 1}]
    tenant.rotating_secret(rollout={"soak": "3s", "workloads": rules})
    before = {name: tenant.deployment(name)["metadata"]["generation"] for name in ("web", "worker")}
    tenant.adopted()
    tenant.run("now")
    tenant.step_is("now", "Rollout", "Running", saying="must stay so")
    restart(leader)
    assert_one_rotation_that_everybody_has(tenant, "now")
    after = {name: tenant.kube.get("Deployment", name)["metadata"]["generation"] for name in before}
    assert after == {name: generation + 1 for name, generation in before.items()}


def test_killed_again_and_again_it_still_ends_with_one_rotation(tenant: Shop, leader: Operator) -> None:
    tenant.begin(rollout={"soak": "2s"})
    slow(tenant, "setSecret", 2)
    tenant.run("now")
    for step, state in (("Rotate", "Running"), ("Mirror", "Succeeded"), ("Rollout", "Running")):
        tenant.step_is("now", step, state)
        restart(leader)
    assert_one_rotation_that_everybody_has(tenant, "now")


# --- the API server --------------------------------------------------------------------------------------------------


def test_an_api_server_that_restarts_in_the_middle_of_a_rotation_delays_it_and_no_more(
    tenant: Shop, leader: Operator, plane: ControlPlane
) -> None:
    tenant.begin()
    slow(tenant, "createSecret", 2)
    tenant.run("now")
    tenant.step_is("now", "Rotate", "Running")
    plane.restart_apiserver()
    wait_until(lambda: leading(leader), timeout=90, what="a leader")
    assert_one_rotation_that_everybody_has(tenant, "now")


def leading(leader: Operator) -> bool:
    return leader.ready() and "\nkeyturn_leader 1.0" in leader.metrics()


# --- AWS -------------------------------------------------------------------------------------------------------------


def test_a_storm_of_throttling_delays_a_rotation_and_no_more(tenant: Shop, leader: Operator) -> None:
    tenant.begin()
    tenant.aws.faults.set("throttle", caller=CLIENT_KEY, probability=0.7)
    tenant.run("now")
    tenant.over("now", timeout=120)
    tenant.aws.faults.clear()
    assert_one_rotation_that_everybody_has(tenant, "now")


def test_while_aws_is_down_what_was_ready_stays_ready(tenant: Shop) -> None:
    tenant.put()
    tenant.rotating_secret()
    tenant.ready()
    good = tenant.data()
    tenant.aws.faults.set("error", caller=CLIENT_KEY)
    tenant.rotating_secret(target={"labels": {"team": "shop"}})
    seen = tenant.ready()
    assert condition(seen, "Stalled") == {}
    assert tenant.data() == good
    tenant.aws.faults.clear()
    tenant.kube.wait_for("Secret", "db", lambda seen: seen["metadata"]["labels"]["team"] == "shop", timeout=60)


def test_a_rotation_that_is_denied_fails_with_the_action_and_works_once_it_is_allowed(tenant: Shop) -> None:
    tenant.put()
    tenant.rotating_secret()
    tenant.ready()
    tenant.aws.faults.set("deny", action="RotateSecret", caller=CLIENT_KEY)
    tenant.run("denied")
    message = condition(tenant.over("denied"), "Failed")["message"]
    assert "secretsmanager:RotateSecret" in message
    assert "allow it and lambda:InvokeFunction" in message
    tenant.aws.faults.clear()
    tenant.run("allowed")
    assert condition(tenant.over("allowed"), "Complete")["reason"] == "Adopted"


# --- people ----------------------------------------------------------------------------------------------------------


def test_a_secret_that_is_edited_by_hand_during_a_rollout_is_repaired_and_adopted_in_the_end(tenant: Shop) -> None:
    tenant.begin(rollout={"soak": "4s"})
    tenant.run("now")
    tenant.step_is("now", "Rollout", "Running", saying="must stay so")
    version, good = tenant.current(), tenant.data()
    tenant.kube.patch("Secret", "db", {"data": {"password": base64.b64encode(b"edited").decode()}})
    wait_until(lambda: tenant.data() == good, timeout=60, what="the repair")
    tenant.over("now")
    tenant.settled(version=version)
    tenant.adopted(version=version)


# --- leadership ------------------------------------------------------------------------------------------------------


@pytest.fixture
def standby(leader: Operator, plane: ControlPlane, own_aws: Aws) -> Iterator[Operator]:
    """A second replica; ready, but not leading."""
    with running_operator(plane, own_aws.environment) as running:
        yield running


def test_a_standby_is_ready_and_alive_and_says_that_it_does_not_lead(leader: Operator, standby: Operator) -> None:
    wait_until(lambda: leading(leader), what="the leader")
    assert [standby.probe(path) for path in ("healthz", "readyz")] == [(200, "ok\n"), (200, "ok\n")]
    assert "\nkeyturn_leader 0.0" in standby.metrics()
    assert [leader.probe(path) for path in ("healthz", "readyz")] == [(200, "ok\n"), (200, "ok\n")]


def test_a_standby_takes_over_when_the_leader_is_killed(tenant: Shop, leader: Operator, standby: Operator) -> None:
    tenant.begin()
    slow(tenant, "createSecret", 2)
    tenant.run("now")
    tenant.step_is("now", "Rotate", "Running")
    leader.kill()
    wait_until(lambda: "\nkeyturn_leader 1.0" in standby.metrics(), timeout=60, what="the standby to lead")
    assert_one_rotation_that_everybody_has(tenant, "now")
    leader.start()
    wait_until(leader.ready, timeout=60, what="the old leader as the standby")


def test_a_replica_that_cannot_reach_the_api_server_is_not_ready_but_alive(plane: ControlPlane, own_aws: Aws, tmp_path: Path) -> None:
    text = plane.kubeconfig.read_text().replace(plane.url, "https://127.0.0.1:1")
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(text)
    with running_operator(plane, own_aws.environment, name="nowhere", kubeconfig=nowhere, until="healthz") as lost:
        assert lost.probe("healthz") == (200, "ok\n")
        code, text = lost.probe("readyz")
        assert (code, "never heard" in text) == (503, True)


def test_sigterm_ends_with_exit_code_0_and_releases_the_lease(plane: ControlPlane, own_aws: Aws) -> None:
    with running_operator(plane, own_aws.environment, name="leaving") as leaving:
        kube = Kube(plane.client, "default")
        wait_until(lambda: kube.get("Lease", "leaving")["spec"]["holderIdentity"], what="the lease")
        wait_until(lambda: "\nkeyturn_leader 1.0" in leaving.metrics(), what="the leader")
        assert leaving.stop() == 0
        assert kube.get("Lease", "leaving")["spec"].get("holderIdentity", "") == ""
