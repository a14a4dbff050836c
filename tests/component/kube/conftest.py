"""A client of a server that misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from tests.component.kube.fake_api import FakeApi, fake_api

from keyturn.adapters.kube.access import load_access
from keyturn.adapters.kube.client import KubeClient, Limits


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        yield running


@pytest_asyncio.fixture
async def client(api: FakeApi, tmp_path: Path) -> AsyncIterator[KubeClient]:
    access = await load_access(api.kubeconfig(tmp_path / "config", {"token": "t0"}))
    async with KubeClient(access, limits=Limits(request=0.5)) as opened:
        yield opened
