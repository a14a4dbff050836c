"""The chart, rendered with each of the value sets in cases/."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from keyturn_lab import helm

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHART = ROOT / "charts" / "keyturn"
RELEASE, NAMESPACE = "keyturn", "keyturn-system"
CASES = sorted(path.stem for path in (HERE / "cases").glob("*.yaml"))
REGENERATE = bool(os.environ.get("KEYTURN_REGENERATE"))

Json = dict[str, Any]


@cache
def rendered(case: str, *, upgrade: bool = False) -> helm.Rendered:
    """The chart with the values of this case."""
    values = yaml.safe_load((HERE / "cases" / f"{case}.yaml").read_text())
    return helm.template(RELEASE, NAMESPACE, values, CHART, upgrade=upgrade)


def render(values: Mapping[str, Any], *, release: str = RELEASE) -> tuple[Json, ...]:
    """The objects of the chart with these values, on top of the region that it asks for."""
    return helm.template(release, NAMESPACE, {"aws": {"region": "eu-west-1"}, **values}, CHART).objects


def of_kind(objects: Iterable[Json], kind: str) -> list[Json]:
    """Those of this kind."""
    return [item for item in objects if item["kind"] == kind]


def one(objects: Iterable[Json], kind: str) -> Json:
    """The only one of this kind."""
    [item] = of_kind(objects, kind)
    return item


def container(objects: Iterable[Json]) -> Json:
    """The operator's container."""
    [found] = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def differs_from_file(path: Path, content: str) -> bool:
    """Whether a generated file is out of date; with KEYTURN_REGENERATE=1 in the environment it is written anew."""
    if REGENERATE:
        path.write_text(content)
    return not path.is_file() or path.read_text() != content
