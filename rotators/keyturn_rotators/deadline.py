"""A point in time by which a step must have ended, so that it fails by itself and not by its host's time-out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from keyturn_rotators.errors import Kind, RotationError


@dataclass(frozen=True, slots=True)
class Deadline:
    """Seconds of `clock`, a monotonic one."""

    at: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        return cls(clock() + seconds, clock)

    def remaining(self, *, at_most: float | None = None) -> float:
        """Seconds left, more than 0. Raises RotationError when there are none."""
        left = self.at - self.clock()
        if left <= 0:
            raise RotationError(
                Kind.NETWORK, "the step's time limit is over", check="whether the back end answers, and the time-out of the function"
            )
        return left if at_most is None else min(left, at_most)
