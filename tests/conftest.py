"""What holds for tests of every tier."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
OF_PROCESSES = ("component", "integration", "e2e", "host", "rotators")
"""Tiers that drive servers and clients as processes, which a machine that stands still for seconds can tear apart."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They get a second try. The first failure stays in the summary, as RERUN: it is something to be mended, too."""
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in OF_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))
