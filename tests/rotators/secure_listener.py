"""A server that shakes hands by TLS and says nothing more: what a driver is tried against where no server of its kind can be had."""

import socket

from keyturn_lab.controlplane.certificates import Authority
from keyturn_lab.tcp import TcpServer


class SecureListener(TcpServer):
    """For `hosts`, by a certificate of `authority`. It hangs up at the first words, which it keeps."""

    def __init__(self, authority: Authority, *hosts: str) -> None:
        super().__init__()
        self._context = authority.issue("listener", common_name=hosts[0], hosts=hosts).server_context()
        self.heard = b""

    def _serve(self, client: socket.socket) -> None:
        with self._context.wrap_socket(client, server_side=True) as secured:
            self.heard += secured.recv(4096)
