"""Several secrets of a client at once, where the server's own API has them: by declared requests, as for other keys of HTTP APIs.

What a declaration calls `api_key` is the client's secret here, and its `test` asks for a token.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.http_api_key import Overlap as HttpApiKeys
from keyturn_rotators.engines.http_api_key.catalogue import KNOWN, PROVIDER_FILE
from keyturn_rotators.engines.http_api_key.declaration import Provider
from keyturn_rotators.engines.http_api_key.overlap import KEY_FIELD, PROVIDER
from keyturn_rotators.errors import Kind, RotationError


class Overlap(HttpApiKeys):
    """One client's secret, at the server whose requests the function's declaration has."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return super().from_environment({KEY_FIELD: "client_secret"} | dict(environ))

    def _provider(self, credential: Credential) -> Provider:
        """The function's own declaration: those that http-api-key knows have no token endpoint, and are not in this engine's zip."""
        if credential.text(PROVIDER) in KNOWN:
            check = f"the field {PROVIDER}, and the name in the file of {PROVIDER_FILE}: that one is taken by the engine http-api-key"
            raise RotationError(Kind.POLICY, "the secret's provider has no OAuth clients", check=check, secret=credential.secret)
        return super()._provider(credential)
