"""Back ends that several tests of this folder share."""

from collections.abc import Iterator

import pytest

from keyturn_lab.backends import Postgres


@pytest.fixture(scope="session")
def pg() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server
