"""Free loopback ports that stay free until their server binds them.

A port that the kernel hands out for port 0 comes from the range that it uses for outgoing connections too, so it can be taken again
before a server binds it, or while a server is being restarted on it. These are chosen below that range.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_240
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on `host` that nobody listens on."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """`count` different TCP ports on `host` that nobody listens on. Raises OSError where there are not so many."""
    candidates = list(range(LOWEST, _first_ephemeral_port()))
    random.SystemRandom().shuffle(candidates)
    ports: list[int] = []
    for port in candidates:
        if len(ports) == count:
            return ports
        if _is_free(host, port):
            ports.append(port)
    raise OSError(f"{host} has no {count} free ports between {LOWEST} and {_first_ephemeral_port()}")


def _first_ephemeral_port() -> int:
    try:
        lowest = int(EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return 32_768
    return lowest if lowest > LOWEST + 1_000 else 65_536


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
