"""Keys of users and of hosts, as the secret's fields have them."""

import base64
import binascii
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyturn_rotators.credential import Credential

PRIVATE, PUBLIC, HOST_KEY = "private_key", "public_key", "host_key"
MADE = "ssh-ed25519"
MARK = "keyturn:"
MARKED = re.compile(r"keyturn:[\x21-\x7e]+#[\w.-]+", re.ASCII)
ON_A_LINE = re.compile(r"(?:^|\s)((?:ssh|ecdsa)-[a-z0-9-]+)\s+([A-Za-z0-9+/]+={0,2})(?=\s|$)")
LOADERS: tuple[Callable[[io.StringIO], paramiko.PKey], ...] = (
    paramiko.Ed25519Key.from_private_key,
    paramiko.ECDSAKey.from_private_key,
    paramiko.RSAKey.from_private_key,
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a line of authorized_keys or known_hosts has of a key."""

    type: str
    blob: str  # base64

    def __str__(self) -> str:
        return f"{self.type} {self.blob}"


def private_key(credential: Credential) -> paramiko.PKey:
    """The key to log in with. Raises RotationError where it is none, or needs a passphrase."""
    text = credential.text(PRIVATE)
    for load in LOADERS:
        try:
            return load(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError, TypeError):
            continue  # of another type; the errors may quote what they read
    raise credential.invalid(PRIVATE, "is not a private key (Ed25519, ECDSA or RSA) without a passphrase") from None


def public_key(credential: Credential) -> PublicKey:
    """The public half of the private key; the field public_key is for people."""
    key: Any = private_key(credential)
    return PublicKey(key.get_name(), key.get_base64())


def mark(secret: str, generation: str) -> str:
    """The comment that says whose line it is: of which secret, and which of its versions."""
    return f"{mark_of_all(secret)}{generation}"


def mark_of_all(secret: str) -> str:
    """What the marks of all versions of a secret begin with."""
    return f"{MARK}{secret}#"


def mark_in(credential: Credential, *, secret: str) -> str:
    """The mark that its public_key has, or one for a key that was not made here."""
    comment = str(credential.get(PUBLIC) or "").split(" ")[-1]
    return comment if MARKED.fullmatch(comment) and comment.startswith(mark_of_all(secret)) else mark(secret, "adopted")


def proposal(secret: str) -> dict[str, str]:
    """The fields of a new key. Its generation is when it was made: the id that AWS gives the version is not known to whoever makes it."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = public_key(Credential({PRIVATE: text}))
    generation = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(3)}"
    return {PRIVATE: text, PUBLIC: f"{public} {mark(secret, generation)}"}


def wrong_field(pending: Credential) -> str | None:
    """The field of a pending value that no proposal could have: what is written to the account's file is made of them."""
    key = public_key(pending)
    if key.type != MADE:
        return PRIVATE
    named, _, comment = str(pending.get(PUBLIC) or "").rpartition(" ")
    return None if named == str(key) and MARKED.fullmatch(comment) else PUBLIC


def host_keys(credential: Credential) -> tuple[PublicKey, ...]:
    """The keys by which the server may be known: lines as of ssh-keyscan or of known_hosts. Raises RotationError where there is none."""
    # What is commented out, revoked or an authority's is not a host's key.
    lines = "\n".join(line for line in credential.text(HOST_KEY).splitlines() if not line.lstrip().startswith(("#", "@")))
    found = tuple(PublicKey(*match) for match in ON_A_LINE.findall(lines) if _is_key(*match))
    if not found:
        raise credential.invalid(HOST_KEY, "has no host key as ssh-keyscan prints it")
    return found


def _is_key(kind: str, blob: str) -> bool:
    """Whether the blob says itself that it is of that type."""
    try:
        return base64.b64decode(blob, validate=True)[4:].startswith(kind.encode())
    except binascii.Error:
        return False
