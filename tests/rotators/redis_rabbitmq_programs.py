"""Debian's packages for tests, installed where that is allowed and named where it is not (never skipped), and certificates for them."""

import os
import subprocess
from pathlib import Path

from keyturn_lab.backends.http_certificates import Authority
from keyturn_lab.backends.postgres import Tls


def install(package: str, *, program: Path) -> Path:
    """Make sure that the package's program is there, without starting a server of the machine's own."""
    if not program.exists() and os.geteuid() == 0:
        # RUNLEVEL=1 keeps the package's scripts from starting its service.
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environ, capture_output=True)
        command = ["apt-get", "install", "-qy", "--no-install-recommends", package]
        subprocess.run(command, check=True, env=environ, capture_output=True)
    assert program.exists(), f"{program} is not installed here: apt-get install {package}"
    return program


def certificate(authority: Authority, address: str) -> Tls:
    """The files of a server's certificate for an IP address."""
    authority.server_context(address)
    folder = authority.bundle.parent
    return Tls(certificate=folder / f"{address}.crt", key=folder / f"{address}.key")
