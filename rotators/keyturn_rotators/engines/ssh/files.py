"""A file of the account, replaced as a whole over SFTP: whoever reads it meanwhile sees the old one or the new one, never a part.

By the account's own login only: an administrator who wrote into a user's folder could be led elsewhere by its links.
"""

import errno
import hashlib
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import paramiko

from keyturn_rotators.engines.ssh.authorized_keys import AuthorizedKeys
from keyturn_rotators.engines.ssh.connection import Session
from keyturn_rotators.errors import Kind, RotationError

DEFAULT = ".ssh/authorized_keys"
LARGEST = 4 << 20  # bytes
ATTEMPTS = 5  # somebody else may change the file at the same moment
PERMISSIONS = "that the file and its folder belong to the account, and that its key may use SFTP"


def edit(session: Session, path: str, change: Callable[[AuthorizedKeys], AuthorizedKeys], *, secret: str) -> None:
    """Change the file; one that stays the same is not written. Its permissions are kept. Raises RotationError."""
    with _sftp(session) as sftp:
        place = sftp.normalize(path)  # where a link leads: the link itself stays
        spare = f"{place}.keyturn-{hashlib.sha256(secret.encode()).hexdigest()[:12]}"
        for _ in range(ATTEMPTS):
            content = _read(session, sftp, place)
            wanted = bytes(change(AuthorizedKeys(content)))
            if wanted == content or _replaced(session, sftp, place, spare, content, wanted):
                return
    raise session.place.error(Kind.SERVER, "somebody else keeps changing the account's keys", "who writes the file")


def _replaced(session: Session, sftp: Any, place: str, spare: str, content: bytes, wanted: bytes) -> bool:
    """Whether the file was as expected, and is now as wanted."""
    found = sftp.stat(place)
    with suppress(FileNotFoundError):
        sftp.remove(spare)  # of an attempt that died
    with sftp.open(spare, "wx") as file:  # never through a link
        file.chmod(stat.S_IMODE(found.st_mode) & 0o600)
        file.write(wanted)
    if sftp.stat(spare).st_gid != found.st_gid:
        with suppress(PermissionError):  # not a group of the account's: then the file is the account's own group's
            sftp.chown(spare, found.st_uid, found.st_gid)
    sftp.chmod(spare, stat.S_IMODE(found.st_mode))
    if _read(session, sftp, place) != content:
        sftp.remove(spare)
        return False
    sftp.posix_rename(spare, place)
    return True


def _read(session: Session, sftp: Any, place: str) -> bytes:
    sftp.get_channel().settimeout(session.deadline.remaining())
    with sftp.open(place, "rb") as file:
        content: bytes = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise session.place.error(Kind.POLICY, f"the file of keys is longer than {LARGEST} bytes", "the field authorized_keys")
    return content


@contextmanager
def _sftp(session: Session) -> Iterator[Any]:
    """SFTP over the session, with its errors sorted."""
    try:
        channel = session.transport.open_session(timeout=session.deadline.remaining())
        channel.settimeout(session.deadline.remaining())
        channel.invoke_subsystem("sftp")
        client = paramiko.SFTPClient(channel)
    except paramiko.SSHException as error:
        if not session.transport.is_active():
            raise session.place.unanswered(error) from None
        raise session.place.error(Kind.PERMISSION, "the server lets the account have no SFTP", "Subsystem sftp in sshd_config") from None
    except (OSError, EOFError) as error:
        raise session.place.unanswered(error) from None
    try:
        with client:
            yield client
    except RotationError:
        raise
    except (paramiko.SSHException, EOFError, ConnectionError, TimeoutError) as error:
        raise session.place.unanswered(error) from None
    except OSError as error:
        raise _refusal(session, error) from None


def _refusal(session: Session, error: OSError) -> RotationError:
    match error.errno:
        case errno.EACCES:
            return session.place.error(Kind.PERMISSION, "the account may not change its own keys", PERMISSIONS)
        case errno.ENOENT:
            return session.place.error(Kind.POLICY, "the file of keys is not there", "the field authorized_keys against sshd_config's")
        case None if session.transport.is_active():
            return session.place.error(
                Kind.SERVER, "the server's SFTP could not replace the file of keys", "disk space, quota, and that it is OpenSSH's"
            )
    return session.place.unanswered(error)
