"""An engine of one's own: a user of a web server's password file, as nginx reads it, on a file system that the function mounts.

The function has KEYTURN_ENGINE=htpasswd_rotator:HtpasswdFile and HTPASSWD_FOLDER=/mnt/passwords. The steps, their order and their guards
are Keyturn's; this is only what is particular to such files.
"""

import base64
import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import PasswordPolicy

FOLDER = "HTPASSWD_FOLDER"
SCHEME = "{SSHA}"
LOOK_AGAIN = 0.1  # seconds between two tries for the lock


class HtpasswdFile:
    """One user of one file; the secret's field `file` names it. There is one password at a time, as with Keyturn's SingleUser."""

    principal = ("username", "password")

    def __init__(self, folder: Path, passwords: PasswordPolicy) -> None:
        self._folder = folder
        self._passwords = passwords

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The environment is the function's. Whoever writes a secret does not decide about it."""
        return cls(Path(environ.get(FOLDER) or "/mnt/passwords"), PasswordPolicy.from_environment(environ, excluded=":"))

    def propose(self, current: Credential, context: Context) -> Credential:
        """The next value. Nothing is changed yet."""
        return current.replaced(password=self._passwords.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        """The name of a field that a proposal could not have: nobody has another user's password set by writing AWSPENDING."""
        if pending.get("password") == current.get("password"):
            return "password"
        return next((name for name in ("username", "file") if pending.get(name) != current.get(name)), None)

    def apply(self, pending: Credential, context: Context) -> None:
        """May come again, wherever it died: a password that is set already is left alone."""
        with locked(self._folder, context.deadline):
            self._set(pending, context.current())

    def verify(self, pending: Credential, context: Context) -> None:
        if not self._is_taken(pending):
            raise self._error(pending, Kind.AUTHENTICATION, "the file does not have this password", "who else writes the file")

    def retire(self, old: Credential, context: Context) -> None:
        """Setting the new password has ended the old one. What is left is to see that it has."""
        self._same_place(old, context.current())
        if self._is_taken(old):
            raise self._error(old, Kind.SERVER, "the old password is still taken", "who else writes the file")
        self.verify(context.current(), context)

    def restore(self, old: Credential, context: Context) -> None:
        self._same_place(old, context.current())
        with locked(self._folder, context.deadline):
            context.confirm_idle()  # once the lock is held: a rotation that has begun meanwhile asks for it, too
            self._set(old, context.current())

    def _set(self, wanted: Credential, current: Credential) -> None:
        if self._is_taken(wanted):
            return
        if not self._is_taken(current):
            # Whoever can write the secret must not have another user's password set by naming that user.
            raise self._error(wanted, Kind.AUTHENTICATION, "the current password is not the file's", "the current version, and the file")
        others = [line for line in read(self._path(wanted)) if line.partition(":")[0] != wanted.username]
        write(self._path(wanted), [*others, f"{wanted.username}:{hashed(wanted.password)}"])

    def _is_taken(self, credential: Credential) -> bool:
        lines = read(self._path(credential))
        return any(
            user == credential.username and matches(credential.password, value) for user, _, value in (x.partition(":") for x in lines)
        )

    def _same_place(self, old: Credential, current: Credential) -> None:
        if name := next((name for name in ("username", "file") if old.get(name) != current.get(name)), None):
            raise self._error(old, Kind.POLICY, f"the old version's {name} is not the current version's", "who wrote that version")

    def _path(self, credential: Credential) -> Path:
        """In the function's folder: a secret's text is never a path."""
        name = credential.text("file")
        if Path(name).name != name or name.startswith("."):
            raise credential.invalid("file", "is not the plain name of a file")
        if ":" in credential.username or not credential.username.isprintable():
            raise credential.invalid("username", "is not one that a password file can have")
        return self._folder / name

    def _error(self, about: Credential, kind: Kind, what: str, check: str) -> RotationError:
        """No value is ever in a message; `kind` says where to look first."""
        return RotationError(kind, what, check=check, secret=about.secret, user=about.username)


def read(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError as error:
        what = f"the password file cannot be read ({type(error).__name__})"
        raise RotationError(Kind.NETWORK, what, check=f"the function's mount, {FOLDER}, and the field file") from None


def write(path: Path, lines: list[str]) -> None:
    """All of it or nothing: the web server may read it at any moment."""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
            file.writelines(f"{line}\n" for line in lines)
            os.fchmod(file.fileno(), path.stat().st_mode)
        os.replace(file.name, path)
    except OSError as error:
        what = f"the password file cannot be written ({type(error).__name__})"
        raise RotationError(Kind.PERMISSION, what, check="whether the function's mount is full, or for reading only") from None


@contextmanager
def locked(folder: Path, deadline: Deadline) -> Iterator[None]:
    """One rotation at a time changes the folder's files; another one is waited for as long as the step has time."""
    try:
        file = (folder / ".rotator.lock").open("w")
    except OSError as error:
        what = f"the folder of password files is out of reach ({type(error).__name__})"
        raise RotationError(Kind.NETWORK, what, check=f"the function's mount, and {FOLDER}") from None
    with file:
        while not has_lock(file):
            time.sleep(deadline.remaining(at_most=LOOK_AGAIN))
        yield


def has_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def hashed(password: str) -> str:
    """A salted SHA-1, which nginx knows: 32 random characters cannot be guessed from it, a person's password could."""
    salt = secrets.token_bytes(8)
    return SCHEME + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode("ascii")  # noqa: S324  # the format's


def matches(password: str, value: str) -> bool:
    if not value.startswith(SCHEME):
        return False
    raw = base64.b64decode(value.removeprefix(SCHEME))
    return hmac.compare_digest(hashlib.sha1(password.encode() + raw[20:]).digest(), raw[:20])  # noqa: S324
