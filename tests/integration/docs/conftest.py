"""The API server with our kinds, as a reader of the documentation has it."""

from __future__ import annotations

import pytest
from tests.support.docs import ROOT

from keyturn.api import KINDS
from keyturn_lab.controlplane import ControlPlane


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, with the committed CRDs served."""
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    names = [f"crd/{kind.resource.crd_name}" for kind in KINDS]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    return control_plane
