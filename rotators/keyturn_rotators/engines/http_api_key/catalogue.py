"""Where declarations come from: the known providers of this package, and the user's own file in the function's package.

A secret only names a provider. It cannot bring one: a declaration decides where the administrator's key is sent.
"""

import pkgutil
import tomllib
from pathlib import Path

import keyturn_rotators
from keyturn_rotators.engines.http_api_key.declaration import Provider, parse
from keyturn_rotators.errors import Kind, RotationError

FOLDER = "providers"
KNOWN = ("cloudflare-account-token", "datadog-api-key", "elasticsearch-api-key", "gitlab-project-token", "grafana-service-account-token",
         "sendgrid-api-key", "twilio-api-key")  # fmt: skip  # a list, so that no name from a secret becomes a path
PROVIDER_FILE = "KEYTURN_PROVIDER_FILE"


def find(name: str, *, file: str | None = None, secret: str | None = None) -> Provider:
    """The declaration of that name: the one in `file`, or a known one. Raises RotationError."""
    known: tuple[str, ...] = KNOWN
    if file:
        content = _read(file)
        own = content.pop("name", None)
        if own == name:
            return parse(name, content)
        known = (str(own), *KNOWN)
    if name in KNOWN:
        return parse(name, packaged(name))
    check = f"the field provider of the secret, or {PROVIDER_FILE} of the function; known are {', '.join(known)}"
    raise RotationError(Kind.POLICY, "the secret's provider is not known", check=check, secret=secret)


def packaged(name: str) -> dict[str, object]:
    """A known declaration as it is written."""
    data = pkgutil.get_data(__package__ or "", f"{FOLDER}/{name}.toml")
    content = tomllib.loads((data or b"").decode())
    content.pop("name", None)
    return content


def _read(file: str) -> dict[str, object]:
    root = Path(keyturn_rotators.__file__).parents[1]  # of the zip, when in Lambda
    check = f"the variable {PROVIDER_FILE}, and that the function's package holds that file"
    try:
        return tomllib.loads((root / file).read_text("utf-8"))
    except OSError as error:
        raise RotationError(Kind.POLICY, f"the provider's file cannot be read ({type(error).__name__})", check=check) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise RotationError(Kind.POLICY, f"the provider's file is not TOML: {why}", check=f"the file {file}") from None
