"""A login at an OpenSSH server whose host key is known from the secret. No host key is ever taken on trust.

Forwarding, agents, the user's own ~/.ssh: nothing of these is looked at.
"""

from types import TracebackType
from typing import Any, Self

import paramiko

from keyturn_rotators.back_end import differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.ssh.keys import HOST_KEY, PRIVATE, host_keys, private_key
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_user
from keyturn_rotators.network import CONNECT_WITHIN, Place, connect
from keyturn_rotators.proof import is_taken

PORT = 22
RSA = "ssh-rsa"  # the type of the key; signatures with it have names of their own
LONGEST_OUTPUT = 4096  # bytes


class Session:
    """`with Session(credential, deadline=...) as session`. Raises RotationError."""

    def __init__(self, credential: Credential, *, deadline: Deadline, by_key: bool) -> None:
        """`by_key`: log in with private_key, and not with password."""
        self.deadline = deadline
        self.place = Place.of(credential, port=PORT, user=credential.username)
        key = private_key(credential) if by_key else None
        password = None if by_key else credential.password
        known = host_keys(credential)
        try:
            sock = connect(credential, port=PORT, deadline=deadline)
        except OSError as error:
            raise self.place.unanswered(error) from None
        try:
            self.transport: Any = paramiko.Transport(sock)
        except BaseException:
            sock.close()
            raise
        try:
            self._know(credential, known)
            self._log_in(credential.username, key, password)
        except BaseException:
            self.transport.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.transport.close()

    def run(self, command: str, given: bytes) -> tuple[int, str]:
        """Run a command with that input. Returns its exit status, and what it says on stderr."""
        try:
            channel = self.transport.open_session(timeout=self.deadline.remaining())
            with channel:
                channel.settimeout(self.deadline.remaining())
                channel.exec_command(command)
                channel.sendall(given)
                channel.shutdown_write()
                said = channel.makefile_stderr("rb").read(LONGEST_OUTPUT)
                if not channel.status_event.wait(self.deadline.remaining()):
                    raise TimeoutError
                return channel.recv_exit_status(), said.decode(errors="replace")
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.place.unanswered(error) from None

    def _know(self, credential: Credential, known: tuple[Any, ...]) -> None:
        """Agree on keys, and see that the server is the one."""
        options = self.transport.get_security_options()
        types = {key.type for key in known}
        options.key_types = tuple(name for name in options.key_types if (RSA if name.startswith("rsa-sha2-") else name) in types)
        if not options.key_types:
            raise credential.invalid(HOST_KEY, "has no host key of a type that is still safe") from None
        patience = self.deadline.remaining(at_most=2 * CONNECT_WITHIN)
        self.transport.banner_timeout = self.transport.handshake_timeout = patience
        try:
            self.transport.start_client(timeout=patience)
            shown = self.transport.get_remote_server_key()
        except paramiko.ssh_exception.IncompatiblePeer:
            check = f"{HOST_KEY} in the secret against ssh-keyscan's, and the algorithms that the server allows"
            raise self.place.error(
                Kind.TLS, "the server has no host key of the types in the secret, or no common algorithm", check
            ) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.place.unanswered(error) from None
        if (shown.get_name(), shown.get_base64()) not in {(key.type, key.blob) for key in known}:
            check = f"whether the server was set up again: {HOST_KEY} in the secret; or whether somebody is in between"
            raise self.place.error(Kind.TLS, "the server's host key is not the secret's", check)

    def _log_in(self, user: str, key: paramiko.PKey | None, password: str | None) -> None:
        self.transport.auth_timeout = self.deadline.remaining()
        try:
            further = self.transport.auth_password(user, password) if key is None else self.transport.auth_publickey(user, key)
        except paramiko.BadAuthenticationType as error:
            what = (
                f"the server takes no {'passwords' if key is None else 'public keys'} for this user, but {', '.join(error.allowed_types)}"
            )
            raise self.place.error(Kind.POLICY, what, "sshd_config: PubkeyAuthentication, PasswordAuthentication, Match") from None
        except paramiko.AuthenticationException as error:
            # A time-out, and a connection that broke, come as the same error. They are no refusal.
            if "timeout" in str(error) or not self.transport.is_active():
                raise self.place.unanswered(TimeoutError()) from None
            check = "the credential in the secret, whether the account is locked, and the server's log (permissions of files, AllowUsers)"
            raise self.place.error(Kind.AUTHENTICATION, "the login was refused", check) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self.place.unanswered(error) from None
        if further:
            check = "AuthenticationMethods in sshd_config, for this user"
            raise self.place.error(Kind.PERMISSION, f"the server wants {', '.join(further)} besides", check)


def has_key(credential: Credential) -> bool:
    """Whether an administrator logs in with a key."""
    return bool(credential.get(PRIVATE))


def logs_in(credential: Credential, *, deadline: Deadline, by_key: bool) -> bool:
    """Whether the credential is taken. Raises RotationError where the server cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline, by_key=by_key))


same_server = differs_in(HOST_KEY, "authorized_keys")


def same_account(old: Credential, current: Credential) -> None:
    """Raises RotationError where an older version is another account's, or another file's. Its host key may be an older one."""
    same_user(old, current)
    if old.get("authorized_keys") != current.get("authorized_keys"):
        check = "who wrote the version, and whether its key is still to be taken from that file by hand"
        raise RotationError(Kind.POLICY, "the version's authorized_keys is not the current version's", check=check, secret=old.secret)
