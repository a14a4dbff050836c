"""TLS with the server's certificate and host name verified, whatever the engine."""

import os
import pkgutil
import ssl
from pathlib import Path

import keyturn_rotators
from keyturn_rotators.errors import Kind, RotationError

CA_BUNDLE = "KEYTURN_CA_BUNDLE"
PACKAGED = "ca-bundle.pem"  # beside the package, where a zip was built with --ca-bundle
RDS_BUNDLE = "data/rds-ca.pem"  # in the package; in the zips of engines that RDS has


def client_context(*, rds: bool = False) -> ssl.SSLContext:
    """Trusts the file of KEYTURN_CA_BUNDLE, or else the one that the zip was built with, or else the system's authorities.

    With `rds`, the system's and Amazon RDS's, which no system knows. Raises RotationError where the named file is of no use.
    """
    named = os.environ.get(CA_BUNDLE)
    packaged = Path(keyturn_rotators.__file__).parents[1] / PACKAGED
    if named or packaged.is_file():
        return _of_file(named or str(packaged))
    context = ssl.create_default_context()
    if rds and (bundle := rds_authorities()):
        context.load_verify_locations(cadata=bundle)
    return context


def rds_authorities() -> str:
    """Amazon RDS's certificate authorities as PEM; nothing where the zip was built without them."""
    try:
        return (pkgutil.get_data(keyturn_rotators.__name__, RDS_BUNDLE) or b"").decode("ascii")
    except OSError:
        return ""


def _of_file(path: str) -> ssl.SSLContext:
    check = f"the variable {CA_BUNDLE} of the function, and that its file holds certificates (PEM)"
    try:
        return ssl.create_default_context(cafile=path)
    except FileNotFoundError:
        raise RotationError(Kind.TLS, "the file of certificate authorities is not there", check=check) from None
    except (OSError, ssl.SSLError):
        raise RotationError(Kind.TLS, "the file of certificate authorities cannot be read", check=check) from None
