"""The lab's fixtures: `control_plane` and `node` are shared by a worker, `namespace` and `kube` belong to one test.

Fixtures of the lab's other parts live in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.kube import Kube
from tests.support.lab import fresh_namespace, running_node

from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real API server, controller manager and scheduler."""
    with ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="session")
def node(control_plane: ControlPlane) -> Iterator[Node]:
    """A node that runs pods as processes; images `python` and `sh` (whose argument is a script)."""
    with running_node(control_plane) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace."""
    with fresh_namespace(control_plane) as name:
        yield name


@pytest.fixture
def kube(control_plane: ControlPlane, namespace: str) -> Kube:
    """A client of the test's namespace."""
    return Kube(control_plane.client, namespace)
