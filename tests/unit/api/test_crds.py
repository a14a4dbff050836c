"""What is committed is what the models say, and it is what Kubernetes asks of a CRD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.unit.api.lint import lint, walk

from keyturn.api import GROUP, KINDS, VERSION
from keyturn.api.crd import document, documents, files, main
from keyturn.api.reference import reference

ROOT = Path(__file__).parents[3]
DOCUMENTS = {content["spec"]["names"]["kind"]: content for content in documents()}
MARKED_LATER = {"retirement", "onKeys", "onFailure", "by", "previous", "serviceAccount", "assumeRoles", "failoverRegions", "events"}


def test_the_committed_crds_are_the_generated_ones() -> None:
    committed = {path.name: path.read_text() for path in (ROOT / "crds").iterdir()}
    assert committed == files(), "run `python -m keyturn.api.crd --write crds`"


def test_the_committed_reference_is_the_generated_one() -> None:
    committed = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert committed == reference(documents()), "run `python -m keyturn.api.crd --reference docs/reference/api.md`"


def test_generating_writes_the_same_files_each_time(tmp_path: Path) -> None:
    main(["--write", str(tmp_path / "crds"), "--reference", str(tmp_path / "docs" / "api.md")])
    assert {path.name: path.read_text() for path in (tmp_path / "crds").iterdir()} == files()
    assert (tmp_path / "docs" / "api.md").read_text() == reference(documents())


def test_without_options_all_crds_are_printed_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == documents()


@pytest.mark.parametrize("crd", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_crd_has_nothing_that_the_linter_minds(crd: dict[str, Any]) -> None:
    assert lint(crd) == []


@pytest.mark.parametrize("crd", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_crd_is_valid_by_the_schema_of_crds(crd: dict[str, Any]) -> None:
    kubernetes_validate.validate(crd, "1.33", strict=True)


@pytest.mark.parametrize("content", files().values(), ids=files().keys())
def test_a_crd_leaves_room_in_the_annotation_of_kubectl_apply(content: str) -> None:
    assert len(content.encode()) < 200_000


@pytest.mark.parametrize("crd", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_field_is_in_the_schema_only_once_it_works(crd: dict[str, Any]) -> None:
    fields = {path.rsplit(".", 1)[-1] for path, _ in walk(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])}
    assert not fields & MARKED_LATER


def test_names_of_all_kinds_are_told_apart() -> None:
    names = [content["spec"]["names"] for content in DOCUMENTS.values()]
    assert [name["shortNames"] for name in names] == [["rsec"], ["rrun"], ["kaws"], ["kcaws"]]
    assert all(name["categories"] == ["keyturn"] for name in names)
    assert {content["spec"]["group"] for content in DOCUMENTS.values()} == {GROUP}


def test_only_the_cluster_connection_is_cluster_wide() -> None:
    assert [kind for kind, content in DOCUMENTS.items() if content["spec"]["scope"] == "Cluster"] == ["ClusterAWSConnection"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_status_is_a_subresource_of_the_one_stored_version(kind: type[Any]) -> None:
    (version,) = document(kind)["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"], version["subresources"]) == (VERSION, True, True, {"status": {}})
