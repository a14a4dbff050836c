"""Where in a secret an access key and its user are.

AWS documents no JSON for it, so the spellings in use are known: those of the API, the environment, the CLI's files and Terraform. Whichever
pair is there is rotated; where there are several, they must be the same key.
"""

from dataclasses import dataclass, field

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError

PAIRS = (
    ("AccessKeyId", "SecretAccessKey"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("aws_access_key_id", "aws_secret_access_key"),
    ("access_key_id", "secret_access_key"),
    ("accessKeyId", "secretAccessKey"),
    ("access_key", "secret_key"),
)
ID_FIELDS = tuple(name for name, _ in PAIRS)
USER_FIELDS = ("UserName", "userName", "user_name", "username", "IAM_USER", "USER_NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)


def key_of(credential: Credential) -> Key:
    """Raises RotationError where there is none, or more than one."""
    found = {(credential.text(key_id), credential.text(secret)) for key_id, secret in PAIRS if credential.get(key_id) is not None}
    if not found:
        known = ", ".join(" and ".join(pair) for pair in PAIRS)
        raise RotationError(Kind.POLICY, "the secret has no access key", check=f"its fields; known are {known}", secret=credential.secret)
    if len(found) > 1:
        check = "its fields: two spellings have different keys; remove one"
        raise RotationError(Kind.POLICY, "the secret has more than one access key", check=check, secret=credential.secret)
    return Key(**dict(zip(("id", "secret"), found.pop(), strict=True)))


def with_key(credential: Credential, key: Key) -> Credential:
    """The same value with another key, under the names that it has."""
    pairs = [pair for pair in PAIRS if credential.get(pair[0]) is not None]
    return credential.replaced(**{name: key.id for name, _ in pairs}, **{name: key.secret for _, name in pairs})


def user_in(credential: Credential, name: str | None) -> tuple[str, str] | None:
    """The field that names the user, and the user; None where there is none. `name`: the only field that counts ("": none does)."""
    names = USER_FIELDS if name is None else (name,) if name else ()
    return next(((each, credential.text(each)) for each in names if credential.get(each) is not None), None)
