"""The plugins of Debian's MariaDB, for tests."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.debian import apt_get, install

PLUGINS = "mariadb-server"  # the package with the plugins; installing it would start a server of the machine's own, so it is unpacked


@contextmanager
def plugins() -> Iterator[Path]:
    """The folder of plugins, such as auth_ed25519, from Debian's package."""
    install("mariadb-server-core")
    with TemporaryDirectory(prefix="keyturn-mariadb-plugins-") as name:  # pytest's own folders are closed to the server's user
        directory = Path(name)
        directory.chmod(0o755)
        apt_get("download", PLUGINS, cwd=directory)
        [package] = directory.glob(f"{PLUGINS}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), str(directory / "unpacked")], check=True, capture_output=True)
        yield directory / "unpacked" / "usr" / "lib" / "mysql" / "plugin"
