"""Debian's packages for tests: installed where that is allowed, named where it is not. A test that cannot have them fails; none is skipped.

`python -P tests/support/debian.py` installs all of them before tests run beside each other: two that install at once would meet at apt's
locks, not all of which it waits for. A test that runs alone installs its own. What is installed is not started: the tests run the programs
with data of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path("/")
LOCKED_WITHIN = 300  # seconds; another run may be installing
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # 1 keeps the packages' scripts from starting their services
PACKAGES = {
    "iproute2": "usr/bin/ip",
    "mariadb-server-core": "usr/sbin/mariadbd",
    "openssh-server": "usr/sbin/sshd",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
    "rabbitmq-server": "usr/lib/rabbitmq/bin/rabbitmq-server",
    "redis-server": "usr/bin/redis-server",
    "samba-ad-dc": "usr/lib/*/samba/ldb/acl.so",
    "samba-ad-provision": "usr/share/samba/setup/provision.ldif",
    "slapd": "usr/sbin/slapd",
    "sudo": "usr/bin/sudo",
}
"""By name, the file that is there where it, and what it needs, is installed: its program, if it has one."""


def install(package: str) -> Path:
    """Make sure that the package is there, and return its file."""
    if missing(package) and os.geteuid() == 0:
        _install([package])
    assert not missing(package), f"{PACKAGES[package]} is not installed here: apt-get install {package}"
    return max(ROOT.glob(PACKAGES[package]))


def missing(*packages: str, root: Path = ROOT) -> list[str]:
    """Those whose file is not there."""
    return [package for package in packages if not any(root.glob(PACKAGES[package]))]


def apt_get(*words: str, cwd: Path = ROOT) -> None:
    """Run apt-get quietly, after anybody else who does. Raises CalledProcessError, after what it says."""
    command = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCKED_WITHIN}", *words]
    subprocess.run(command, check=True, env=os.environ | ENVIRONMENT, cwd=cwd, stdout=subprocess.DEVNULL)


def _install(packages: list[str]) -> None:
    apt_get("update")
    apt_get("install", "-y", "--no-install-recommends", *packages)


def main() -> int:
    """The exit code. Who may not install is not hindered: the tests name what they lack."""
    packages = missing(*PACKAGES)
    if packages and os.geteuid() == 0:
        print(f"installing {' '.join(packages)}", flush=True)
        _install(packages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
