"""Logs in to an SSH server over and over with the key or the password that its pod was given: `python -m keyturn_lab.apps.ssh_client`.

DB_PASSWORD is the password, or a private key, an Ed25519 one. Whatever host key the server has is taken: what is counted is who is let in.
"""

import io
import logging
import socket
import sys

from paramiko import AuthenticationException, ChannelException, Ed25519Key, SFTPClient, SSHException, Transport

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 22
A_KEY = "-----BEGIN "


class _Session:
    def __init__(self, login: Login) -> None:
        key = Ed25519Key.from_private_key(io.StringIO(login.password)) if login.password.startswith(A_KEY) else None
        sock = socket.create_connection((login.host, login.port or PORT), timeout=TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = Transport(sock)
        try:
            self._transport.start_client()
            self._authenticate(login, key)
            self._files = _files(self._transport)
        except BaseException:
            self.close()
            sock.close()  # a transport that has not begun leaves it open
            raise

    def use(self) -> None:
        self._files.normalize(".")

    def close(self) -> None:
        self._transport.close()

    def _authenticate(self, login: Login, key: Ed25519Key | None) -> None:
        try:
            if key is not None:
                self._transport.auth_publickey(login.user, key)
            else:
                self._transport.auth_password(login.user, login.password, fallback=False)
        except AuthenticationException as error:
            # A server that went away in the middle of it is the same to paramiko as one that refuses.
            if "timeout" in str(error) or not self._transport.is_active():
                raise ConnectionError("the server went away") from error
            raise


def connect(login: Login) -> Session:
    """A connection that has logged in and sees its files."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the driver's class."""
    match error:
        case AuthenticationException():
            return "authentication"
        case ChannelException():
            return f"server {error.code}"
        case _:
            return "network"


def _files(transport: Transport) -> SFTPClient:
    """Of the account. Raises SSHException."""
    channel = transport.open_session(timeout=TIMEOUT)
    channel.settimeout(TIMEOUT)
    channel.invoke_subsystem("sftp")
    return SFTPClient(channel)


DRIVER = Driver(name="ssh", connect=connect, errors=(SSHException, EOFError, OSError), kind=kind)

if __name__ == "__main__":
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # each failure is counted, and kept out of the pod's output
    sys.exit(main(DRIVER))
