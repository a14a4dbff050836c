"""What went wrong, sorted by who can mend it, and never with a value in it."""

from enum import StrEnum


class Kind(StrEnum):
    """Where to look first."""

    NETWORK = "network"  # security group, route, VPC endpoint, name
    TLS = "TLS"  # certificate, authority, a server without TLS
    AUTHENTICATION = "authentication"  # user, password, pg_hba.conf
    PERMISSION = "permission"  # a grant or an IAM statement is missing
    POLICY = "policy"  # the secret or the server asks for something that is not allowed
    SERVER = "server"  # it answered, and could not


class RotationError(Exception):
    """A step failed. The message names the secret, host and user, and says what to check."""

    def __init__(
        self, kind: Kind, what: str, *, check: str, secret: str | None = None, host: str | None = None, user: str | None = None
    ) -> None:
        self.kind = kind
        self.what = what
        self.check = check
        places = (("secret", secret), ("host", host), ("user", user))
        where = ", ".join(f"{name} {value}" for name, value in places if value)
        super().__init__(f"{kind}: {what}" + (f" ({where})" if where else "") + f". Check: {check}")


class Unsupported(Exception):
    """The back end has nothing that does this step. Not a failure: the answer says so, and why."""
