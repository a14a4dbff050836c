"""A server that shakes hands by TLS and says nothing more: what a driver is tried against where no server of its kind can be had."""

import socket
import ssl
import threading
from contextlib import suppress

from keyturn_lab.controlplane.certificates import Authority


class SecureListener:
    """For `hosts`, by a certificate of `authority`. It hangs up at the first words, which it keeps."""

    def __init__(self, authority: Authority, *hosts: str) -> None:
        pair = authority.issue("listener", common_name=hosts[0], hosts=hosts)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, suppress(OSError), self._context.wrap_socket(client, server_side=True) as secured:
                self.heard += secured.recv(4096)
