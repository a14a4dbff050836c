"""Several secrets of a client at once, where the server's own API has them: by declared requests, as for other keys of HTTP APIs.

What a declaration calls `api_key` is the client's secret here, and its `test` asks for a token.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.engines.http_api_key import Overlap as HttpApiKeys
from keyturn_rotators.engines.http_api_key.overlap import KEY_FIELD


class Overlap(HttpApiKeys):
    """One client's secret, at the server whose requests the function's declaration has."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return super().from_environment({KEY_FIELD: "client_secret"} | dict(environ))
