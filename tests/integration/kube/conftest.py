"""The adapters' client against the lab's API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from keyturn.adapters.kube.access import load_access
from keyturn.adapters.kube.client import KubeClient
from keyturn.engine.ports import SecretManifest
from keyturn_lab.controlplane import ControlPlane

CRDS = Path(__file__).parents[3] / "crds"
ManifestOf = Callable[..., SecretManifest]


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    """As admin."""
    async with KubeClient(await load_access(control_plane.kubeconfig)) as opened:
        yield opened


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> None:
    """Our kinds, served."""
    control_plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))


@pytest.fixture
def manifest(namespace: str) -> ManifestOf:
    """A Secret as the engine would want it; keyword arguments replace parts of it."""

    def make(
        *,
        name: str = "orders-db",
        data: dict[str, bytes] | None = None,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        owner: dict[str, object] | None = None,
        secret_type: str = "Opaque",
    ) -> SecretManifest:
        return SecretManifest(
            namespace=namespace,
            name=name,
            type=secret_type,
            data={"password": b"first"} if data is None else data,
            labels={"keyturn.dev/managed": "true"} | (labels or {}),
            annotations={"keyturn.dev/version": "v1", "keyturn.dev/epoch": "1"} | (annotations or {}),
            owner_reference=owner,
        )

    return make
