"""What the chart makes of each value set, whole, so that a review sees every change of it.

`KEYTURN_REGENERATE=1 pytest tests/chart` writes the files in golden/ (and the other generated files of the chart) anew; read the diff.
"""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.chart.rendering import CASES, CHART, HERE, differs_from_file, of_kind, rendered

from keyturn.api import ClusterAWSConnection
from keyturn_lab import helm

OLDEST_AND_NEWEST = ("1.32", "1.37")  # of the schemas that kubernetes-validate ships
WITHOUT_SCHEMA = ("keyturn.dev/", "monitoring.coreos.com/")


@pytest.mark.parametrize("case", CASES)
def test_the_chart_renders_what_the_golden_file_says(case: str) -> None:
    assert not differs_from_file(HERE / "golden" / f"{case}.yaml", rendered(case).text)


@pytest.mark.parametrize("case", CASES)
def test_the_notes_say_what_the_golden_file_says(case: str) -> None:
    assert not differs_from_file(HERE / "golden" / f"{case}.txt", rendered(case).notes)


def test_every_golden_file_belongs_to_a_case_and_there_are_enough() -> None:
    assert sorted(path.stem for path in (HERE / "golden").glob("*.yaml")) == CASES
    assert len(CASES) >= 6


@pytest.mark.parametrize("case", CASES)
def test_helm_lint_in_its_strict_mode_finds_nothing(case: str) -> None:
    assert helm.lint(CHART, yaml.safe_load((HERE / "cases" / f"{case}.yaml").read_text())) == []


def test_helm_lint_reports_what_the_schema_refuses() -> None:
    assert any("additional properties 'nonsense' not allowed" in finding for finding in helm.lint(CHART, {"nonsense": 1}))


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
@pytest.mark.parametrize("case", CASES)
def test_every_object_fits_the_schema_of_kubernetes(case: str, version: str) -> None:
    known = [item for item in rendered(case).objects if not item["apiVersion"].startswith(WITHOUT_SCHEMA)]
    for item in known:
        kubernetes_validate.validate(item, version, strict=True)
    assert known


@pytest.mark.parametrize("case", CASES)
def test_every_connection_is_one_that_the_operator_understands(case: str) -> None:
    for item in of_kind(rendered(case).objects, "ClusterAWSConnection"):
        understood = ClusterAWSConnection.model_validate(item).to_dict()["spec"]
        assert understood == item["spec"]


@pytest.mark.parametrize("case", CASES)
def test_no_two_objects_have_the_same_name(case: str) -> None:
    names = [_identity(item) for item in rendered(case).objects]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES)
def test_every_object_says_whose_it_is(case: str) -> None:
    for item in rendered(case).objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "keyturn"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("keyturn-")


def test_an_upgrade_says_how_the_crds_are_upgraded() -> None:
    assert "keyturn crds | kubectl apply --server-side" in rendered("defaults", upgrade=True).notes
    assert "keyturn crds" not in rendered("defaults").notes


def _identity(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]
