"""Passwords by policy, from the operating system's randomness.

The environment variables are those of AWS's rotation functions, which hand them to GetRandomPassword; that call is saved.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn_rotators.errors import Kind, RotationError

TRUE = frozenset({"true", "1", "y", "yes"})  # what AWS's functions take for true, in any case
LONGEST = 4096  # GetRandomPassword's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """What a password may and must be made of."""

    length: int = 32
    excluded: str = ""
    lowercase: bool = True
    uppercase: bool = True
    numbers: bool = True
    punctuation: bool = True
    each_class: bool = True

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, excluded: str) -> "PasswordPolicy":
        """`excluded` are the characters that the engine leaves out where EXCLUDE_CHARACTERS is not set."""

        def is_true(name: str, default: str) -> bool:
            return environ.get(name, default).strip().lower() in TRUE

        try:
            length = int(environ.get("PASSWORD_LENGTH", "32"))
        except ValueError:
            raise _refused("PASSWORD_LENGTH is not a number") from None
        return cls(
            length=length,
            excluded=environ.get("EXCLUDE_CHARACTERS", excluded),
            lowercase=not is_true("EXCLUDE_LOWERCASE", "false"),
            uppercase=not is_true("EXCLUDE_UPPERCASE", "false"),
            numbers=not is_true("EXCLUDE_NUMBERS", "false"),
            punctuation=not is_true("EXCLUDE_PUNCTUATION", "false"),
            each_class=is_true("REQUIRE_EACH_INCLUDED_TYPE", "true"),
        )

    def classes(self) -> tuple[str, ...]:
        """The characters of each class that is allowed, without the excluded ones."""
        wanted = (
            (self.lowercase, string.ascii_lowercase),
            (self.uppercase, string.ascii_uppercase),
            (self.numbers, string.digits),
            (self.punctuation, string.punctuation),
        )
        return tuple("".join(sorted(set(letters) - set(self.excluded))) for allowed, letters in wanted if allowed)

    def generate(self) -> str:
        """A new password. Raises RotationError where the policy allows none."""
        classes = self.classes()
        if self.each_class and not all(classes):
            raise _refused("every character of a class that is asked for is excluded")
        alphabet = "".join(classes)
        required = [secrets.choice(letters) for letters in classes] if self.each_class else []
        if not alphabet or not max(1, len(required)) <= self.length <= LONGEST:
            raise _refused(f"no password of {self.length} characters can be made")
        letters = required + [secrets.choice(alphabet) for _ in range(self.length - len(required))]
        secrets.SystemRandom().shuffle(letters)
        return "".join(letters)


def _refused(what: str) -> RotationError:
    return RotationError(
        Kind.POLICY, f"the password policy is not usable: {what}", check="PASSWORD_LENGTH, EXCLUDE_* and REQUIRE_EACH_INCLUDED_TYPE"
    )
