"""values.yaml, its schema, the templates and the README's table say the same; and what makes no sense is refused with its path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import pytest
import yaml
from tests.chart.rendering import CHART, differs_from_file, of_kind, render
from tests.chart.values_table import Value, documented, with_table

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
USED = set(re.findall(r"\.Values\.([A-Za-z.]*[A-Za-z])", TEMPLATES))
Json = dict[str, Any]


@pytest.mark.parametrize("value", documented(VALUES), ids=lambda value: value.path)
def test_every_value_is_explained(value: Value) -> None:
    assert value.comment
    assert value.comment.endswith(".")


@pytest.mark.parametrize("value", documented(VALUES), ids=lambda value: value.path)
def test_every_value_is_used_by_a_template(value: Value) -> None:
    assert value.path in USED or any(used.startswith(f"{value.path}.") for used in USED)


@pytest.mark.parametrize("path", sorted(USED))
def test_everything_that_a_template_uses_is_a_value(path: str) -> None:
    declared = {value.path for value in documented(VALUES)}
    assert any(path == known or path.startswith(f"{known}.") or known.startswith(f"{path}.") for known in declared)


def test_the_schema_knows_exactly_the_values_that_there_are() -> None:
    known = set(_schema_paths(SCHEMA, ""))
    for value in documented(VALUES):
        assert value.path in known
    for path in known:
        assert _has(yaml.safe_load(VALUES), path) or any(path.startswith(f"{value.path}.") for value in documented(VALUES))


def test_the_schema_closes_every_object_but_those_that_belong_to_kubernetes_or_to_parent_charts() -> None:
    open_ones = {path for path, schema in _objects(SCHEMA, "") if schema.get("additionalProperties", True) is True}
    assert open_ones == {"global", "resources", "podSecurityContext", "securityContext", "affinity"}


def test_the_readme_has_the_table_of_all_values() -> None:
    readme = CHART / "README.md"
    assert not differs_from_file(readme, with_table(readme.read_text(), VALUES))


def test_a_value_without_a_comment_is_noticed() -> None:
    [first, second] = documented("a:\n  # -- Explained.\n  b: 1\n  c: {}\n")
    assert (first.comment, second.comment) == ("Explained.", None)


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"replicas": 0.5}, "/replicas"),
        ({"replicas": 11}, "/replicas"),
        ({"namespaces": ["Shop"]}, "/namespaces/0"),
        ({"namespaces": ["shop", "shop"]}, "/namespaces"),
        ({"namespaces": "shop"}, "/namespaces"),
        ({"settings": {"listen": "0.0.0.0"}}, "/settings/listen"),
        ({"settings": {"listen": "0.0.0.0:80"}}, "/settings/listen"),
        ({"settings": {"listen": "0.0.0.0:65536"}}, "/settings/listen"),
        ({"settings": {"logLevel": "loud"}}, "/settings/logLevel"),
        ({"settings": {"marginSeconds": -1}}, "/settings/marginSeconds"),
        ({"settings": {"leaseSeconds": 1}}, "/settings/leaseSeconds"),
        ({"settings": {"unknown": 1}}, "/settings"),
        ({"aws": {"region": "Frankfurt"}}, "/aws/region"),
        ({"connection": {"endpoint": "vpce-1"}}, "/connection/endpoint"),
        ({"connection": {"pollInterval": "often"}}, "/connection/pollInterval"),
        ({"connection": {"auth": {"staticCredentials": {}}}}, "/connection/auth/staticCredentials"),
        ({"connection": {"allow": [{"namespaces": {"all": False}, "secrets": ["*"], "verbs": ["Mirror"]}]}}, "namespaces/all"),
        ({"connection": {"allow": [{"namespaces": {}, "secrets": ["*"], "verbs": ["Mirror"]}]}}, "/connection/allow/0/namespaces"),
        ({"connection": {"allow": [{"namespaces": {"all": True}, "secrets": ["*"], "verbs": ["Delete"]}]}}, "verbs/0"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
        ({"extraEnv": [{"value": "1"}]}, "/extraEnv/0"),
        ({"policies": {"secrets": "yes"}}, "/policies/secrets"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_its_path(values: Json, path: str) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=re.escape(path)):
        render(values)


def test_without_a_region_the_refusal_says_what_to_set() -> None:
    with pytest.raises(helm_python.HelmRenderError, match=re.escape("--set aws.region=eu-west-1")):
        render({"aws": {"region": ""}})


def test_a_service_monitor_without_a_service_is_refused() -> None:
    with pytest.raises(helm_python.HelmRenderError, match=re.escape("needs metrics.service.enabled")):
        render({"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}})


def test_parent_charts_may_set_globals_that_are_not_ours() -> None:
    assert of_kind(render({"global": {"somebodyElses": 1}}), "Deployment")


def _schema_paths(schema: Json, prefix: str) -> Iterator[str]:
    for key, below in schema.get("properties", {}).items():
        yield f"{prefix}{key}"
        yield from _schema_paths(below, f"{prefix}{key}.")


def _objects(schema: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    for key, below in schema.get("properties", {}).items():
        if below.get("type") == "object":
            yield f"{prefix}{key}", below
        yield from _objects(below, f"{prefix}{key}.")
        if "items" in below and below["items"].get("properties") and key != "extraEnv":
            yield from _objects(below["items"], f"{prefix}{key}[].")


def _has(values: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
