"""What the documentation says about the chart can be done: its values are values, its files are there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, ROOT, container, of_kind, render

GUIDE = (ROOT / "docs" / "helm.md").read_text()
PAGES = [ROOT / "docs" / "helm.md", CHART / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
Json = dict[str, Any]


def blocks(language: str) -> list[str]:
    """The code of the guide in that language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)


@pytest.mark.parametrize("values", blocks("yaml"), ids=range(len(blocks("yaml"))))
def test_the_guides_values_render(values: str) -> None:
    assert of_kind(render(yaml.safe_load(values)), "Deployment")


def test_the_guides_install_command_names_the_region_and_the_registry_as_the_chart_does() -> None:
    [command] = [block for block in blocks("console") if "helm install" in block]
    values: Json = {}
    for path, value in re.findall(r"--set ([a-zA-Z.]+)=(\S+)", command):
        group, key = path.split(".")
        values.setdefault(group, {})[key] = value
    assert container(render(values))["image"] == "registry.example.com/keyturn:0.1.0"


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:connection|settings|metrics|policies|aws|rbac)\.[a-zA-Z.]+)", GUIDE))))
def test_every_value_that_the_guide_names_is_one(path: str) -> None:
    values: Any = yaml.safe_load((CHART / "values.yaml").read_text())
    for key in path.rstrip(".").split("."):
        if values == {}:
            return  # free to the user, such as connection.auth
        assert key in values
        values = values[key]


def test_the_iam_policy_is_json_and_allows_secrets_manager_nothing_that_destroys() -> None:
    [policy] = [json.loads(block) for block in blocks("json")]
    actions = [action for statement in policy["Statement"] for action in _listed(statement["Action"])]
    assert "secretsmanager:GetSecretValue" in actions
    assert not [action for action in actions if re.search(r"\*|Delete|Put|Create|Cancel|Tag", action)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Any) -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
