"""Debian's MariaDB for tests: installed where that is allowed, and told how to install where it is not. Never skipped."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from keyturn_lab.backends.mariadb import PROGRAM

PLUGINS = "mariadb-server"  # the package with the plugins; installing it would start a server of the machine's own, so it is unpacked


def install() -> None:
    """Make sure that mariadbd is there."""
    if not PROGRAM.exists() and os.geteuid() == 0:
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environ, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-qy", "--no-install-recommends", "mariadb-server-core"], check=True, env=environ, capture_output=True
        )
    assert PROGRAM.exists(), "MariaDB is not installed here: apt-get install mariadb-server-core"


@contextmanager
def plugins() -> Iterator[Path]:
    """The folder of plugins, such as auth_ed25519, from Debian's package."""
    install()
    with TemporaryDirectory(prefix="keyturn-mariadb-plugins-") as name:  # pytest's own folders are closed to the server's user
        directory = Path(name)
        directory.chmod(0o755)
        subprocess.run(["apt-get", "download", "-q", PLUGINS], check=True, cwd=directory, capture_output=True)
        [package] = directory.glob(f"{PLUGINS}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), str(directory / "unpacked")], check=True, capture_output=True)
        yield directory / "unpacked" / "usr" / "lib" / "mysql" / "plugin"
