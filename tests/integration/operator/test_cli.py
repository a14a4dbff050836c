"""The `keyturn` command on a real cluster, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.shop import Shop

CANARY = "canary-0f3a9c7d"
COMMAND = Path(sys.executable).parent / "keyturn"


def keyturn(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it against the lab's cluster, in the tenant's namespace."""
    environment = {**os.environ, "KUBECONFIG": str(shop.plane.kubeconfig)}
    call = [str(COMMAND), *arguments, "-n", shop.namespace]
    return subprocess.run(call, check=False, capture_output=True, text=True, env=environment, timeout=90)


@pytest.fixture
def db(shop: Shop) -> Shop:
    """A tenant whose secret is mirrored and used by one pod."""
    shop.put("db", password=CANARY)
    shop.rotating_secret("db")
    shop.deployment("web")
    shop.adopted("db")
    return shop


def test_status_shows_each_link_of_the_chain_and_no_value(db: Shop) -> None:
    answer = keyturn(db, "status", "db")
    version = db.current()[:8]
    assert answer.returncode == 0
    assert f"db (namespace {db.namespace}): Ready" in answer.stdout
    assert f"AWS {db.secret_id()}: version {version}" in answer.stdout
    assert f"Secret db: version {version}" in answer.stdout
    assert "Deployment web (wave 0): 1 of 1 pods on it" in answer.stdout
    assert CANARY not in answer.stdout + answer.stderr


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_status_as_data_names_versions_and_pods(db: Shop, form: str, load: object) -> None:
    (chain,) = load(keyturn(db, "status", "-o", form).stdout)  # type: ignore[operator]  # one of two loaders
    assert chain["aws"]["versionId"] == chain["secret"]["versionId"] == db.current()
    (workload,) = chain["workloads"]
    assert [pod["onVersion"] for pod in workload["pods"]] == [True]


def test_rotate_and_wait_ends_when_every_pod_runs_on_the_new_version(db: Shop) -> None:
    before = db.current()
    answer = keyturn(db, "rotate", "db", "--reason", "laptop lost", "--wait", "--timeout", "60")
    assert answer.returncode == 0, answer.stderr
    assert "1 of 1 pods" in answer.stdout
    assert "Rollout: Succeeded" in answer.stderr
    assert db.current() != before
    (run,) = db.runs()
    assert (run["spec"]["reason"], run["spec"]["trigger"]) == ("laptop lost", "Manual")
    listed = keyturn(db, "history", "db")
    assert run["metadata"]["name"] in listed.stdout
    assert "laptop lost" in listed.stdout


def test_a_name_that_does_not_exist_is_one_line_that_says_so(shop: Shop) -> None:
    answer = keyturn(shop, "rotate", "nothing")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"Error: there is no RotatingSecret nothing in namespace {shop.namespace}")
    assert shop.runs("nothing") == []


def test_crds_are_what_the_repository_holds_and_can_be_applied(shop: Shop) -> None:
    printed = list(yaml.safe_load_all(keyturn(shop, "crds").stdout))
    held = [yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parents[3] / "crds").glob("*.yaml"))]
    assert sorted(printed, key=lambda crd: crd["metadata"]["name"]) == held
    assert keyturn(shop, "crds", "--apply").stdout.count("applied") == len(held)


def test_status_and_history_say_why_a_run_cannot_go_on_and_how_it_failed(shop: Shop) -> None:
    shop.put("db", host="db.example")
    shop.rotating_secret("db", rollout={"timeout": "10m"}, target={"require": ["host"]})
    shop.ready("db")
    shop.promote("db", password=CANARY)
    shop.stalled("ContentInvalid")
    run = shop.first_run("Observed")["metadata"]["name"]
    status = keyturn(shop, "status", "db")
    assert status.returncode == 3
    assert f"RotationRun {run} is active: ContentInvalid: " in status.stdout
    open_ = keyturn(shop, "history", "db").stdout
    assert "Mirror: ContentInvalid" in open_
    assert f"{run}: ContentInvalid: " in open_
    assert 'lacks "host"' in open_
    shop.rotating_secret("db", rollout={"timeout": "1s"}, target={"require": ["host"]})
    shop.over(run)
    over = keyturn(shop, "history", "db").stdout
    assert f"{run}: ContentInvalid: " in over
    assert "edit spec.target" in over
    assert CANARY not in status.stdout + open_ + over
