"""The CRDs installed as a user does it, and objects of the kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.crds.objects import Objects

from keyturn.api import KINDS
from keyturn_lab.controlplane import ControlPlane

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, with the committed CRDs served."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    names = [f"crd/{kind.resource.crd_name}" for kind in KINDS]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    return control_plane


@pytest.fixture
def objects(installed: ControlPlane, namespace: str) -> Iterator[Objects]:
    """Objects of the kinds in the test's namespace."""
    created = Objects(installed.client, namespace)
    yield created
    created.clear()
