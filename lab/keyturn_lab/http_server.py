"""The HTTP server under those of the lab: many clients come at once, and some go away before they are answered."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class CrowdServer(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 128  # five, the default, make the others wait for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
