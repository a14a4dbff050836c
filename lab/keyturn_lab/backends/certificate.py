"""A server's certificate, whoever made it."""

from pathlib import Path
from typing import Protocol


class Certificate(Protocol):
    """The files of a server's certificate, PEM."""

    @property
    def certificate(self) -> Path: ...

    @property
    def key(self) -> Path: ...
