"""Fixtures that several modules of this folder share."""

from tests.support.authority import authority

__all__ = ["authority"]
