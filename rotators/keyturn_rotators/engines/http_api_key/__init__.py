"""Keys of HTTP APIs: a provider is a declaration of the requests that make, try, list and revoke a key.

Overlap is the only strategy. The known providers are in `providers`; `KEYTURN_PROVIDER_FILE` adds one.
"""

from keyturn_rotators.engines.http_api_key.overlap import Overlap

__all__ = ["Overlap"]
