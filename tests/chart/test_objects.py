"""What single values do to the objects."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel
from tests.chart.rendering import CASES, CHART, NAMESPACE, ROOT, container, differs_from_file, of_kind, one, render, rendered

from keyturn.api.target import SecretType
from keyturn.settings import Settings

Json = dict[str, Any]
DIGEST = "sha256:" + 64 * "a"
CRDS = sorted(path.name for path in (ROOT / "crds").glob("*.yaml"))


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "keyturn:0.1.0"),
        ({"tag": "1.2.3"}, "keyturn:1.2.3"),
        ({"registry": "registry.example.com"}, "registry.example.com/keyturn:0.1.0"),
        ({"registry": "registry.example.com", "tag": "1.2.3", "digest": DIGEST}, f"registry.example.com/keyturn@{DIGEST}"),
    ],
    ids=str,
)
def test_the_image_is_named_by_registry_repository_and_digest_or_tag(image: Json, reference: str) -> None:
    assert container(render({"image": image}))["image"] == reference


def test_a_global_registry_wins() -> None:
    objects = render({"global": {"imageRegistry": "mirror.example.com"}, "image": {"registry": "registry.example.com"}})
    assert container(objects)["image"] == "mirror.example.com/keyturn:0.1.0"


def test_the_app_version_is_the_package_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'\nversion = "{chart["appVersion"]}"\n' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("release", ["k", "keyturn", "r" * 53, "a-release-name-that-is-quite-long-and-ends-in-a-hyphen"[:53]])
def test_names_and_labels_stay_within_their_limits(release: str) -> None:
    for item in render({}, release=release.rstrip("-")):
        name = item["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)
        assert all(len(value) <= 63 for value in item["metadata"]["labels"].values())


def test_the_selector_of_the_deployment_never_changes_with_version_or_labels() -> None:
    selector = one(render({"commonLabels": {"team": "platform"}, "podLabels": {"tier": "control"}}), "Deployment")["spec"]["selector"]
    assert selector == {"matchLabels": {"app.kubernetes.io/name": "keyturn", "app.kubernetes.io/instance": "keyturn"}}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_services_and_budgets_select_the_operators_pods(kind: str) -> None:
    objects = render({"podLabels": {"tier": "control"}})
    selector = one(objects, kind)["spec"]["selector"]
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (selector.get("matchLabels") or selector).items() <= labels.items()


def test_the_port_of_the_container_is_the_one_that_it_listens_on() -> None:
    assert container(render({"settings": {"listen": "[::]:9443"}}))["ports"] == [{"name": "http", "containerPort": 9443}]


def test_the_address_may_name_the_pods_own_which_is_defined_before() -> None:
    names = [entry["name"] for entry in container(render({}))["env"]]
    assert names.index("POD_IP") < names.index("KEYTURN_LISTEN")


def test_environment_variables_are_text_and_there_once() -> None:
    env = container(render({"settings": {"leaseSeconds": 20, "maxRestarting": 100}}))["env"]
    assert all(isinstance(entry.get("value", ""), str) for entry in env)
    assert len({entry["name"] for entry in env}) == len(env)


@pytest.mark.parametrize("case", CASES)
def test_the_operator_understands_every_setting_that_the_chart_makes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {entry["name"]: entry.get("value", "from-the-pod") for entry in container(rendered(case).objects)["env"]}
    for name, value in settings.items():
        monkeypatch.setenv(name, value.replace("$(POD_IP)", "10.1.2.3"))
    understood = {f"KEYTURN_{field.upper()}" for field in Settings.model_fields}
    assert {name for name in settings if name.startswith("KEYTURN_")} <= understood
    assert Settings().listen.startswith("10.1.2.3:")


def test_every_setting_reaches_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"listen": "[::]:9090", "logLevel": "debug", "logFormat": "text", "marginSeconds": 0.5, "maxRestarting": 7, "leaseSeconds": 20}
    for entry in container(render({"settings": chosen, "namespaces": ["shop", "pay"]}))["env"]:
        monkeypatch.setenv(entry["name"], entry.get("value", "from-the-pod"))
    read = Settings()
    assert (read.host, read.port, read.log_level, read.log_format) == ("::", 9090, "DEBUG", "text")
    assert (read.margin_seconds, read.max_restarting, read.lease_seconds) == (0.5, 7, 20)
    assert (read.namespaces, read.lease_name, read.lease_namespace) == (("shop", "pay"), "keyturn", "from-the-pod")


@pytest.mark.parametrize("field", ["margin_seconds", "max_restarting", "lease_seconds"])
def test_defaults_of_the_chart_are_those_of_the_operator(field: str) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["settings"]
    assert values[to_camel(field)] == Settings.model_fields[field].default


def test_namespaces_reach_the_operator_and_become_roles_in_each() -> None:
    objects = render({"namespaces": ["shop", "pay"]})
    env = {entry["name"]: entry.get("value") for entry in container(objects)["env"]}
    assert env["KEYTURN_NAMESPACES"] == "shop,pay"
    assert {item["metadata"]["namespace"] for item in of_kind(objects, "Role")} == {"shop", "pay", NAMESPACE}
    [cluster_role] = [item for item in of_kind(objects, "ClusterRole") if item["metadata"]["name"] == "keyturn"]
    assert {resource for rule in cluster_role["rules"] for resource in rule["resources"]} == {
        "clusterawsconnections",
        "clusterawsconnections/status",
    }


def test_no_rule_of_a_role_has_a_wildcard() -> None:
    for values in ({}, {"namespaces": ["shop"]}):
        roles = [item for item in render(values) if item["kind"] in ("Role", "ClusterRole")]
        assert not any("*" in entry for role in roles for rule in role["rules"] for part in rule.values() for entry in part)


def test_without_rollouts_there_is_no_right_to_them() -> None:
    rules = [rule for role in of_kind(render({"rollouts": {"enabled": False}}), "ClusterRole") for rule in role["rules"]]
    assert not any("argoproj.io" in rule["apiGroups"] for rule in rules)


def test_a_single_replica_has_no_disruption_budget_that_would_block_every_drain() -> None:
    assert of_kind(render({"replicas": 1}), "PodDisruptionBudget") == []


def test_every_policy_has_a_binding_that_denies_and_fails_closed() -> None:
    objects = render({})
    policies = {item["metadata"]["name"]: item for item in of_kind(objects, "ValidatingAdmissionPolicy")}
    bindings = {item["spec"]["policyName"]: item for item in of_kind(objects, "ValidatingAdmissionPolicyBinding")}
    assert policies.keys() == bindings.keys() == {"keyturn-workloads", "keyturn-secrets", "keyturn-runs"}
    assert all("Deny" in item["spec"]["validationActions"] for item in bindings.values())
    assert all(item["spec"]["failurePolicy"] == "Fail" for item in policies.values())


@pytest.mark.parametrize("policy", ["workloads", "secrets", "runs"])
def test_each_policy_has_a_switch(policy: str) -> None:
    names = [item["metadata"]["name"] for item in of_kind(render({"policies": {policy: False}}), "ValidatingAdmissionPolicy")]
    assert len(names) == 2
    assert f"keyturn-{policy}" not in names


def test_policies_are_about_the_service_account_that_the_pods_have() -> None:
    objects = render({"serviceAccount": {"create": False, "name": "mine"}})
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    for policy in of_kind(objects, "ValidatingAdmissionPolicy"):
        [condition] = policy["spec"]["matchConditions"]
        assert f"'system:serviceaccount:{NAMESPACE}:mine'" in condition["expression"]


def test_the_policy_for_secrets_knows_the_types_that_the_api_knows() -> None:
    [policy] = [item for item in of_kind(render({}), "ValidatingAdmissionPolicy") if item["metadata"]["name"] == "keyturn-secrets"]
    [rule] = [entry["expression"] for entry in policy["spec"]["validations"] if "object.type in" in entry["expression"]]
    assert set(re.findall(r"'([^']+)'", rule.split("object.type in")[1])) == {str(kind) for kind in SecretType}


@pytest.mark.parametrize("name", CRDS)
def test_the_charts_crds_are_those_of_the_api(name: str) -> None:
    assert not differs_from_file(CHART / "crds" / name, (ROOT / "crds" / name).read_text())


def test_the_chart_has_no_other_crds() -> None:
    assert sorted(path.name for path in (CHART / "crds").iterdir()) == CRDS != []


def test_the_chart_tells_artifact_hub_of_every_crd() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    assert sorted(f"{item['name']}.yaml" for item in yaml.safe_load(annotations["artifacthub.io/crds"])) == sorted(CRDS)
