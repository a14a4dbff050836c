"""Passwords by policy, from the operating system's randomness.

The environment variables are those of AWS's rotation functions, which hand them to GetRandomPassword; that call is saved. Each may also be
written with KEYTURN_ before its name, which goes first.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_available-rotation-templates.html
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.errors import Kind, RotationError

TRUE = frozenset({"true", "1", "y", "yes"})  # what AWS's functions take for true, in any case
LONGEST = 4096  # GetRandomPassword's limit
DEFAULT_LENGTH = 32
EXCLUDED = ":/@\"'\\"  # what a URL or a shell would trip over, as AWS's functions for databases


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """What a password may and must be made of."""

    length: int = DEFAULT_LENGTH
    excluded: str = ""
    lowercase: bool = True
    uppercase: bool = True
    numbers: bool = True
    punctuation: bool = True
    each_class: bool = True

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, excluded: str, forbidden: str = "", longest: int = LONGEST) -> Self:
        """`excluded`: what the engine leaves out where EXCLUDE_CHARACTERS is not set. `forbidden`: what its back end cannot take at all.

        `longest`: what its back end takes at most. Raises RotationError where PASSWORD_LENGTH is no such number.
        """

        def variable(name: str, default: str) -> str:
            return environ.get(f"KEYTURN_{name}", environ.get(name, default))

        def is_true(name: str, default: str) -> bool:
            return variable(name, default).strip().lower() in TRUE

        try:
            length = int(variable("PASSWORD_LENGTH", str(min(DEFAULT_LENGTH, longest))))
        except ValueError:
            raise _refused("PASSWORD_LENGTH is not a number") from None
        if length > longest:
            raise _refused(f"the back end takes passwords of at most {longest} characters")
        return cls(
            length=length,
            excluded=variable("EXCLUDE_CHARACTERS", excluded) + forbidden,
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
