"""A client's registration, read and updated by the client itself.

An update replaces the whole registration, so it says again what was read. The server may answer any request with a new registration access
token, and the old one is dead then.
https://www.rfc-editor.org/rfc/rfc7592
"""

from collections.abc import Mapping

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.oauth_client.endpoint import Endpoint, Reply
from keyturn_rotators.errors import Kind

URI, TOKEN = "registration_client_uri", "registration_access_token"
SECRET, EXPIRES = "client_secret", "client_secret_expires_at"
NEVER_SENT = frozenset({URI, TOKEN, EXPIRES, "client_id_issued_at"})  # an update with these is refused
KEPT = (SECRET, EXPIRES, TOKEN)  # what an answer changes in the secret


class Registration:
    """The registration of the client whose secret it is."""

    def __init__(self, credential: Credential, deadline: Deadline) -> None:
        self._endpoint = Endpoint.of(credential, URI)
        self._client = credential.text("client_id")
        self._token = credential.text(TOKEN)
        self._deadline = deadline

    def read(self) -> Mapping[str, object]:
        return self._taken(self._endpoint.ask("GET", self._login(), None, self._deadline), "reading the registration")

    def update(self, registered: Mapping[str, object], *, secret: str | None) -> Mapping[str, object]:
        """Say again what is registered, with this secret; None leaves it to the server to make one."""
        content = {name: value for name, value in registered.items() if name not in NEVER_SENT | {SECRET}}
        content |= {"client_id": self._client} | ({} if secret is None else {SECRET: secret})
        return self._taken(self._endpoint.ask_json("PUT", self._login(), content, self._deadline), "updating the registration")

    def _login(self) -> dict[str, str]:
        if not (self._token.isascii() and self._token.isprintable()):
            check = f"the field {TOKEN} of the secret"
            raise self._endpoint.place.error(Kind.POLICY, "the registration access token is not one that a header can carry", check)
        return {"Authorization": f"Bearer {self._token}"}

    def _taken(self, reply: Reply, asked: str) -> Mapping[str, object]:
        if reply.status in (401, 403):
            check = f"the field {TOKEN} of the secret; if a rotation has died, its last answer may have had a new one, which is lost"
            raise reply.error(asked, Kind.AUTHENTICATION, check)
        if reply.status != 200:
            raise reply.unexpected(asked)
        fields = reply.fields()
        if fields.get("client_id") != self._client:
            raise reply.place.error(Kind.POLICY, f"{asked} leads to another client", f"the fields client_id and {URI} of the secret")
        if isinstance(token := fields.get(TOKEN), str) and token:
            self._token = token
        return fields
