"""What the parts of a running node share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiohttp

from keyturn_lab.node.api import Api
from keyturn_lab.node.cache import ObjectCache
from keyturn_lab.node.mounts import Mounter
from keyturn_lab.node.settings import Settings, TunablesFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The node, seen from its pods."""

    settings: Settings
    tunables: TunablesFile
    api: Api
    cache: ObjectCache
    mounter: Mounter
    probe_session: aiohttp.ClientSession

    @property
    def pods(self) -> Path:
        """Where each pod has a directory; it goes with the pod."""
        return Path(self.settings.directory) / "pods"

    @property
    def logs(self) -> Path:
        """Where the output of containers is; it stays when a pod goes."""
        return Path(self.settings.directory) / "logs"
