"""What a node is told: once at its start, and the few things that may change while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

DEFAULT_SECRET_DELAY = 0.07
DEFAULT_RESTART_BACKOFF = 1.0
LONGEST_BACKOFF_FACTOR = 30
"""kubelet's ratio: from 10 s up to 300 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Fixed for the life of a node process; it reads them from a file."""

    name: str
    run_id: str
    """Marks every process of this node's pods, so that none can be left behind."""
    url: str
    ca: str
    certificate: str
    key: str
    directory: str
    address: str
    """The node's own loopback address 127.x.255.254; its pods get others of 127.x."""
    port: int
    listener: int
    """File descriptor of the socket that already listens on address and port."""
    environment: dict[str, str] = field(default_factory=dict)
    mounts: str = ""
    """A mount mode; empty: the best that works here."""
    keep: list[str] = field(default_factory=list)
    """Directories that programs need, even where a pod mounts something over their parents."""

    def write(self, path: Path) -> None:
        """To a file that `read` understands."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file that `write` made."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunables:
    """What tests and the demo change while a node runs."""

    images: dict[str, list[str]] = field(default_factory=dict)
    """Image name without tag and digest -> the program that stands for its entrypoint, and its first arguments."""
    secret_delay: float = DEFAULT_SECRET_DELAY
    """Seconds from a change of a Secret or ConfigMap to the change of the mounted files; a real kubelet takes up to 90."""
    restart_backoff: float = DEFAULT_RESTART_BACKOFF
    """Seconds before the second restart of a container, doubled each time; kubelet's is 10."""

    def entrypoint(self, image: str) -> list[str] | None:
        """The program of an image: by its full name, else by the last part of it."""
        name = image_name(image)
        return self.images.get(name) or self.images.get(name.rsplit("/", 1)[-1])

    def changed(
        self, *, images: Mapping[str, Sequence[str]] | None = None, secret_delay: float | None = None, restart_backoff: float | None = None
    ) -> Tunables:
        """With the given ones replaced; images are added to those that are there."""
        return replace(
            self,
            images=self.images | {name: list(argv) for name, argv in (images or {}).items()},
            secret_delay=self.secret_delay if secret_delay is None else secret_delay,
            restart_backoff=self.restart_backoff if restart_backoff is None else restart_backoff,
        )

    def write(self, path: Path) -> None:
        """In one step, so that a running node never reads half of it."""
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(self)))
        scratch.rename(path)


class TunablesFile:
    """The tunables as they are now; the file is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = (0, 0)
        self._tunables = Tunables()

    def now(self) -> Tunables:
        """What the file says."""
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._seen:
            self._seen, self._tunables = stamp, Tunables(**json.loads(self._path.read_text()))
        return self._tunables


def image_name(image: str) -> str:
    """`registry:5000/team/app:1.2@sha256:...` -> `registry:5000/team/app`."""
    name = image.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    last = last.split(":", 1)[0]
    return f"{head}/{last}" if head else last
