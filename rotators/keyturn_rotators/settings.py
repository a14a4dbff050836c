"""What the function's environment says to every strategy that sets passwords."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.passwords import EXCLUDED, LONGEST, TRUE, PasswordPolicy
from keyturn_rotators.superuser import Superuser

END_SESSIONS = "KEYTURN_END_SESSIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the function."""

    policy: PasswordPolicy
    superuser: Superuser
    end_sessions: bool = False  # retiring ends all connections of a user whose password has changed, the current one's too

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, forbidden: str = "", longest: int = LONGEST) -> Self:
        """`forbidden`, `longest`: what the back end takes as a password. Raises RotationError."""
        return cls(
            policy=PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=forbidden, longest=longest),
            superuser=Superuser.from_environment(environ),
            end_sessions=environ.get(END_SESSIONS, "").strip().lower() in TRUE,
        )
