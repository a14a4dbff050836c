"""What the lab's HTTP server prints of a request that came to no end."""

from http.server import BaseHTTPRequestHandler

import pytest

from keyturn_lab.http_server import CrowdServer


@pytest.mark.parametrize(("error", "printed"), [(BrokenPipeError(), False), (ConnectionResetError(), False), (ValueError(), True)])
def test_a_client_that_went_away_is_not_printed_and_a_mistake_of_ours_is(
    error: Exception, printed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with CrowdServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        try:
            raise error
        except type(error):
            server.handle_error(None, ("127.0.0.1", 1))
    assert bool(capsys.readouterr().err) == printed
