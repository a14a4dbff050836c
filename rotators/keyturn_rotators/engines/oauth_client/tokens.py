"""Whether a client's secret is taken: it asks for a token, as the application does.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

import base64
import time
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.oauth_client.endpoint import Endpoint
from keyturn_rotators.errors import Kind

TOKEN_ENDPOINT, METHOD = "token_endpoint", "token_endpoint_auth_method"
BASIC, POST = "client_secret_basic", "client_secret_post"
SETTLED_WITHIN = 15.0  # seconds until all of a server's nodes know a change
SPARE = 1.0  # seconds of a step that no pause may use up
POLLS = (0.2, 0.5, 1.0)  # seconds between two looks; the last one goes on
REFUSED = "invalid_client"
OTHER_WORDS = ("unauthorized_client", "access_denied")  # with 401, what Keycloak and Auth0 say to a wrong secret; else of a right


def is_taken(credential: Credential, deadline: Deadline) -> bool:
    """Ask for a token. Raises RotationError where the answer says neither yes nor no."""
    endpoint = Endpoint.of(credential, TOKEN_ENDPOINT)
    method = credential.text(METHOD) if credential.get(METHOD) else BASIC
    client, secret = credential.text("client_id"), credential.text("client_secret")
    form = {"grant_type": "client_credentials"} | ({"scope": credential.text("scope")} if credential.get("scope") else {})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if method == BASIC:
        encoded = base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode("ascii")
        headers["Authorization"] = f"Basic {encoded}"
    elif method == POST:
        form |= {"client_id": client, "client_secret": secret}
    else:
        raise credential.invalid(METHOD, f"is neither {BASIC} nor {POST}: other methods have no secret to rotate")
    reply = endpoint.ask("POST", headers, urlencode(form).encode("ascii"), deadline)
    if reply.status == 200 and reply.fields().get("access_token"):
        return True
    if (reply.status in (400, 401) and reply.code == REFUSED) or (reply.status == 401 and reply.code in OTHER_WORDS):
        return False
    if reply.status in (400, 401, 403) and reply.code in ("invalid_scope", *OTHER_WORDS):
        raise reply.error("the token request", Kind.PERMISSION, "that the client may use client_credentials, and the field scope")
    raise reply.unexpected("the token request")


def settled(credential: Credential, deadline: Deadline, *, taken: bool, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Asks until the secret is taken, or refused, as was wanted, or the time for that is over."""
    until = deadline.clock() + min(SETTLED_WITHIN, deadline.remaining() - SPARE)
    polls = iter(POLLS)
    pause = next(polls)
    while True:
        seen = is_taken(credential, deadline)
        if seen == taken or deadline.clock() + pause >= until:
            return seen
        sleep(pause)
        pause = next(polls, pause)
