"""The process of a node: `python -m keyturn_lab.node SETTINGS_FILE`. Started by `keyturn_lab.node.Node`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from keyturn_lab.node.kubelet import run
from keyturn_lab.node.settings import Settings


def main() -> None:
    """Read the settings and be a node."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    if sys.version_info < (3, 12):  # the default there starts a thread for every process
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(run(Settings.read(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
