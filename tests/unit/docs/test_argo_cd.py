"""The health checks for Argo CD say of their test data what their own tests say, as Argo CD's tests would find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import LuaRuntime
from tests.support.docs import ROOT
from tests.support.kstatus import check_conditions

FOLDER = ROOT / "examples" / "gitops" / "argo-cd" / "resource_customizations" / "keyturn.dev"


def cases() -> list[Any]:
    """(script, object, status and message that are wanted)."""
    return list(_cases())


def _cases() -> Iterator[Any]:
    for listed in sorted(FOLDER.glob("*/health_test.yaml")):
        for test in yaml.safe_load(listed.read_text())["tests"]:
            path = listed.parent / test["inputPath"]
            yield pytest.param(listed.parent / "health.lua", path, test["healthStatus"], id=f"{listed.parent.name}/{path.stem}")


def health(script: Path, item: dict[str, Any]) -> dict[str, str]:
    """Status and message that the script gives an object."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(item, recursive=True)
    found: Any = lua.execute(script.read_text())
    return dict(found)


@pytest.mark.parametrize(("script", "path", "wanted"), cases())
def test_the_health_is_as_its_test_says(script: Path, path: Path, wanted: dict[str, str]) -> None:
    assert health(script, yaml.safe_load(path.read_text())) == wanted


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/testdata/*.yaml")), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_the_test_data_have_a_status_that_keyturn_could_write(path: Path) -> None:
    item = yaml.safe_load(path.read_text())
    stale = "status" in item and item["status"]["observedGeneration"] != item["metadata"]["generation"]
    assert "status" not in item or stale or check_conditions(item) == []


def test_every_piece_of_test_data_has_a_test() -> None:
    tested = {case.values[1] for case in cases()}
    assert tested == set(FOLDER.glob("*/testdata/*.yaml"))
