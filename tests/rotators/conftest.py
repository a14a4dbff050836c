"""Back ends that several tests of this folder share."""

from collections.abc import Iterator

import pytest
from tests.support.authority import authority

from keyturn_lab.backends import Postgres
from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn

__all__ = ["authority"]


@pytest.fixture(scope="session")
def pg() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redshift() -> Iterator[RedshiftStandIn]:
    with RedshiftStandIn() as server:
        yield server
