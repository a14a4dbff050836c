"""Helm without a helm binary: the SDK in this process.

The demo and the tests install the operator from its chart as a user does, CRDs, schema and release record included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

Json = dict[str, Any]
Values = Mapping[str, Any]
WAIT_SECONDS = 120
WARNING = 2  # the SDK's severity; 3 is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a chart makes of its values."""

    objects: tuple[Json, ...]
    """In the order of their templates' names; CRDs are not among them."""
    text: str
    """The same as YAML with comments, as Helm prints it."""
    notes: str


def install(kubeconfig: Path, release: str, namespace: str, values: Values, chart: Path, *, wait: bool = False) -> None:
    """Install the chart, its CRDs and, if it is missing, its namespace. With `wait`, return once all pods are ready.

    Raises helm_python.HelmError: HelmValuesError where the schema refuses the values, HelmReleaseError where the API server refuses.
    """
    with _config(kubeconfig, namespace) as config:
        config.install(
            chart, release, dict(values), namespace=namespace, create_namespace=True, wait="watcher" if wait else None, timeout=WAIT_SECONDS
        )


def upgrade(kubeconfig: Path, release: str, namespace: str, values: Values, chart: Path, *, wait: bool = False) -> None:
    """Bring a release to these values and no others. CRDs stay as they are. Raises helm_python.HelmError."""
    with _config(kubeconfig, namespace) as config:
        config.upgrade(
            chart, release, dict(values), namespace=namespace, reset_values=True, wait="watcher" if wait else None, timeout=WAIT_SECONDS
        )


def uninstall(kubeconfig: Path, release: str, namespace: str) -> None:
    """Remove a release, if it is there. CRDs and the namespace stay. Raises helm_python.HelmError."""
    with _config(kubeconfig, namespace) as config:
        config.uninstall(release, ignore_not_found=True, timeout=WAIT_SECONDS)


def template(release: str, namespace: str, values: Values, chart: Path, *, upgrade: bool = False) -> Rendered:
    """Render the chart without a cluster. Raises helm_python.HelmError."""
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(dict(values), name=release, namespace=namespace, is_install=not upgrade, is_upgrade=upgrade)
    manifests = {path: text for path, text in sorted(files.items()) if path.endswith((".yaml", ".yml")) and text.strip()}
    return Rendered(
        objects=tuple(item for text in manifests.values() for item in yaml.safe_load_all(text) if item),
        text="".join(f"---\n# Source: {path}\n{text.strip()}\n" for path, text in manifests.items()),
        notes="".join(text for path, text in files.items() if path.endswith("/NOTES.txt")),
    )


def lint(chart: Path, values: Values) -> list[str]:
    """What `helm lint --strict` finds wrong: its warnings and errors, one line each."""
    report = helm_python.lint(chart, dict(values), strict=True)
    found = [f"{message['path']}: {message['error']}" for message in report["messages"] if message["severity"] >= WARNING]
    return [*found, *report["errors"]]


def _config(kubeconfig: Path, namespace: str) -> helm_python.Config:
    return helm_python.Config(kubeconfig_path=kubeconfig, namespace=namespace)
