"""A real OAuth server, canaille, that gives tokens for the clients of the strict server's registrations.

It is PyPI's, and comes with pytest-iam. Its secrets are the strict server's: canaille's own endpoint for registrations does not work.
"""

import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from keyturn_lab.backends.oauth_server import Client, OAuthServer


class Canaille(OAuthServer):
    """`with Canaille() as server`: registrations as its parent has them, tokens at `token_endpoint`."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._one_at_a_time = threading.Lock()  # while its backend saves a client, another thread would not find it
        self._app = _app()
        self._tokens = make_server(self.host, 0, self._serve, server_class=_Server, handler_class=_Handler)
        self.token_port: int = self._tokens.server_port

    @property
    def token_endpoint(self) -> str:
        return f"http://{self.host}:{self.token_port}/oauth/token"

    def __enter__(self) -> Self:
        self._stack.callback(self._tokens.server_close)
        thread = threading.Thread(target=self._tokens.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._tokens.shutdown)
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        super().__exit__(kind, error, trace)

    def changed(self, client: Client) -> None:
        from canaille.app import models
        from canaille.backends import Backend

        with self._one_at_a_time, self._app.app_context():
            known = Backend.instance.get(models.Client, client_id=client.id)
            if known is None:
                known = models.Client(client_id=client.id, **client.metadata)
            known.client_secret = client.secrets[-1].value
            Backend.instance.save(known)

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # As behind a proxy that ends TLS: without it no token is given.
        with self._one_at_a_time:
            answer: Iterable[bytes] = self._app(environ | {"wsgi.url_scheme": "https"}, start_response)
            return answer


def _app() -> Any:
    """Here, since it is not in the lab's own requirements, and what it imports takes a second."""
    from canaille import create_app
    from joserfc.jwk import JWKRegistry

    key = JWKRegistry.generate_key("RSA", 2048)
    key.ensure_kid()
    logs = {"version": 1, "disable_existing_loggers": False, "loggers": {"canaille": {"level": "ERROR"}}}
    config = {
        "TESTING": True,
        "ENV_FILE": None,
        "SECRET_KEY": secrets.token_hex(),
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "LOGGING": logs},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
    return create_app(config=config, env_file="no-such-file", env_prefix="KEYTURN_LAB_NOTHING_")


class _Server(WSGIServer):
    request_queue_size = 128  # clients that come all at once


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""
