"""`python tests/host/packages.py`: install the Debian packages that the host tests need, before the tests run beside each other.

Two of them that install at once would meet at apt's locks, not all of which it waits for. A test that runs alone installs its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path("/")
PACKAGES = {
    "mariadb-server-core": "usr/sbin/mariadbd",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
    "rabbitmq-server": "usr/lib/rabbitmq/bin/rabbitmq-server",
    "redis-server": "usr/bin/redis-server",
}
"""By name, the program that is there where it is installed."""
LOCKED_WITHIN = 300  # seconds; another run may be installing


def missing(root: Path = ROOT) -> list[str]:
    """The packages whose program is not there."""
    return [package for package, program in PACKAGES.items() if not any(root.glob(program))]


def main() -> int:
    """The exit code. Who may not install is not hindered: the tests name what they lack."""
    packages = missing()
    if packages and os.geteuid() == 0:
        print(f"installing {' '.join(packages)}", flush=True)
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # 1 keeps their scripts from starting services
        apt_get = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCKED_WITHIN}"]
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run([*apt_get, *command], check=True, env=environ, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
