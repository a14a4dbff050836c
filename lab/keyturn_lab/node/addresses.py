"""Loopback addresses for a node and its pods: 127.x is one node's, so that labs beside each other never meet.

Every address of 127/8 is local without any set-up. The node listens on 127.x.255.254, and whoever finds that taken chooses another x.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator

PORT = 20_250
RANGES = range(64, 255)


def reserve() -> socket.socket:
    """A listening socket on an address of a range that no other node has; the range is ours as long as it is open. Raises OSError."""
    candidates = list(RANGES)
    random.SystemRandom().shuffle(candidates)
    for candidate in candidates:
        listener = socket.socket()
        try:
            listener.bind((f"127.{candidate}.255.254", PORT))
        except OSError:
            listener.close()
            continue
        listener.listen(64)
        return listener
    raise OSError(f"no range of loopback addresses is free: port {PORT} is taken on all of them")


class Pool:
    """The addresses of a node's pods, each given out again as late as possible."""

    def __init__(self, node_address: str) -> None:
        prefix = ".".join(node_address.split(".")[:2])
        self._all = [f"{prefix}.{third}.{fourth}" for third in range(250) for fourth in range(2, 252)]
        self._next = self._cycle()

    def take(self, used: Iterable[str]) -> str:
        """One that is not in use."""
        taken = set(used)
        return next(address for address in self._next if address not in taken)

    def _cycle(self) -> Iterator[str]:
        while True:
            yield from self._all
