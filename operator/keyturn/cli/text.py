"""Ages and tables as kubectl shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in one or two units: 45s, 12m, 3h5m, 12d."""
    if moment is None:
        return "-"
    seconds = max(int((now - moment).total_seconds()), 0)
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 3 * 3600:
        return f"{seconds // 60}m"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600}h{seconds % 3600 // 60}m"
    return f"{seconds // 86_400}d"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns three spaces apart."""
    widths = [max(len(row[index]) for row in (header, *rows)) for index in range(len(header))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (header, *rows)]
    return "\n".join(lines)
