"""Releases of the chart, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.release import Release, installed

from keyturn_lab.controlplane import ControlPlane


@pytest.fixture(scope="module")
def release(control_plane: ControlPlane) -> Iterator[Release]:
    """The chart with its own defaults: all namespaces."""
    with installed(control_plane, {}) as made:
        yield made


@pytest.fixture(scope="module")
def namespaced(control_plane: ControlPlane) -> Iterator[Release]:
    """The chart, told to work in one namespace."""
    with installed(control_plane, {}, in_its_namespaces_only=True) as made:
        yield made
