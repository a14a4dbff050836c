"""What the identity turns out not to be allowed, where something dearer does as well: remembered, said once, tried again hourly."""

from __future__ import annotations

import logging
import time
from typing import Final

from keyturn.domain.failures import OutsideError

AGAIN: Final = 3600.0  # seconds until a refused operation is tried again: policies get mended

logger = logging.getLogger("keyturn.aws")


class Permission:
    """Whether one optional operation is worth trying."""

    def __init__(self, operation: str, *, instead: str) -> None:
        self._operation = operation
        self._instead = instead
        self._refused_until = 0.0
        self._said = False

    @property
    def granted(self) -> bool:
        """True until AWS says otherwise."""
        return time.monotonic() >= self._refused_until

    def refuse(self, refusal: OutsideError) -> None:
        """AWS has said otherwise."""
        self._refused_until = time.monotonic() + AGAIN
        if not self._said:
            logger.warning("no permission for %s, so %s: %s", self._operation, self._instead, refusal.message)
            self._said = True
