"""The login that may change other users: the secret that masterarn names, or the function's own variable where the secret names none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError

SUPERUSER_SECRET = "KEYTURN_SUPERUSER_SECRET"  # noqa: S105  # the name of a variable
SUPERUSER_HOST = "KEYTURN_SUPERUSER_HOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Superuser:
    """Where the superuser's login comes from."""

    secret: str | None = None  # name or ARN, for secrets without masterarn
    host: str | None = None  # of superuser secrets that name none, as RDS makes them

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(secret=environ.get(SUPERUSER_SECRET) or None, host=environ.get(SUPERUSER_HOST) or None)

    def is_named(self, context: Context) -> bool:
        """Whether there is one at all: some users change their own password."""
        return bool(context.current().superuser_secret or self.secret)

    def login(self, credential: Credential, context: Context, *, port: int, users: Collection[str] = ()) -> Credential:
        """The superuser for the host of `credential`. Raises RotationError where it is for another host, or one of `users`.

        Its password is sent nowhere but to the host that its own secret, or the function, names: whoever can write the app's secret must
        not be able to collect it. `port`: the engine's default. `users`: those that it is to change, which it cannot be itself.
        """
        name = context.current().superuser_secret or self.secret
        if name is None:
            check = f"the field masterarn of the secret, or the variable {SUPERUSER_SECRET} of the function"
            raise RotationError(Kind.POLICY, "no superuser's secret is named", check=check, secret=context.secret)
        superuser = self._placed(context.other(name), port=credential.port(port))
        if superuser.host != credential.host:
            check = "that masterarn names the superuser of this secret's server, and that both secrets spell its host alike"
            raise RotationError(
                Kind.POLICY, "the superuser's secret is for another host", check=check, secret=context.secret, host=credential.host
            )
        if superuser.username in users:
            raise RotationError(
                Kind.POLICY, "the superuser cannot rotate itself", check="masterarn", secret=context.secret, user=superuser.username
            )
        return superuser

    def _placed(self, superuser: Credential, *, port: int) -> Credential:
        if not superuser.get("host"):
            if not self.host:
                check = f"the host in the superuser's secret; where RDS manages that secret, the variable {SUPERUSER_HOST}"
                raise RotationError(Kind.POLICY, "the superuser's secret names no host", check=check, secret=superuser.secret)
            superuser = superuser.replaced(host=self.host)
        return superuser if superuser.get("port") else superuser.replaced(port=port)
