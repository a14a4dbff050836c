"""The port of a client program: its counts as JSON, and /healthz for its pod's readiness probe."""

from http import HTTPStatus

from keyturn_lab.apps.json_server import JsonHandler, JsonServer
from keyturn_lab.apps.tally import Counter


class StatusServer(JsonServer):
    """`with StatusServer(counter, host=..., port=...) as server`; port 0 chooses a free one."""

    def __init__(self, counter: Counter, *, host: str, port: int) -> None:
        class Handler(JsonHandler):
            def do_GET(self) -> None:
                if self.path == "/healthz":
                    healthy = counter.healthy
                    self.answer(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, {"healthy": healthy})
                else:
                    self.answer(HTTPStatus.OK, counter.tally.as_json())

        super().__init__(Handler, host=host, port=port)
