"""A stand-in for AWS, and connections to it that can reach nothing else."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.component.aws.stand_in import StandIn

from keyturn.adapters.aws.catalog import CoalescingCatalog
from keyturn.adapters.aws.connections import Connection, Connections

MakeConnection = Callable[..., Connection]


@pytest.fixture(autouse=True)
def an_environment_that_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the user's own AWS settings, and no proxy."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """A running stand-in, which answers for STS too."""
    async with StandIn().running() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield running


@pytest.fixture
def changes() -> list[str]:
    """The secret ids that on_change was called with."""
    return []


@pytest.fixture
async def connect(changes: list[str]) -> AsyncIterator[MakeConnection]:
    """Makes connections that are closed at the end of the test, by default in one process-wide `Connections`."""
    async with AsyncExitStack() as stack:

        def make(url: str | None, *, poll_interval: float = 3600.0, **options: object) -> Connection:
            connections = Connections(lambda _, secret_id: changes.append(secret_id), **options)  # type: ignore[arg-type]  # passed on
            stack.push_async_callback(connections.close)
            made = connections.get(region="eu-west-1", endpoint=url, credentials=None, poll_interval=poll_interval)
            assert isinstance(made, Connection)
            return made

        yield make


@pytest.fixture
async def catalog(aws: StandIn, connect: MakeConnection) -> CoalescingCatalog:
    """The catalog of a connection to the stand-in. It polls only when told to."""
    return connect(aws.url).reads


@pytest.fixture(autouse=True)
def no_waiting_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays between attempts, without the waiting."""
    monkeypatch.setattr("keyturn.adapters.aws.calls._THROTTLED_DELAY", 0.02)
    monkeypatch.setattr("keyturn.adapters.aws.calls._UNAVAILABLE_DELAY", 0.01)
