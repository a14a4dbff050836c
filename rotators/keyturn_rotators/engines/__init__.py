"""The engine and the strategy that a secret asks for.

An engine's module is imported only when a secret needs it: a zip holds the driver of its own engine and no other.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Engine

MODULES = {"postgres": "postgres", "aurora-postgresql": "postgres"}  # the secret's field `engine` -> module
SINGLE_USER, ALTERNATING_USERS = "SingleUser", "AlternatingUsers"
STRATEGIES = (SINGLE_USER, ALTERNATING_USERS)


def chooser(environ: Mapping[str, str]) -> Callable[[Credential], Engine]:
    """A function that finds the engine for a credential; KEYTURN_STRATEGY overrules what the secret's masterarn means."""

    def choose(credential: Credential) -> Engine:
        name = MODULES.get(credential.engine.lower())
        if name is None:
            check = f"the field engine; known are {', '.join(MODULES)}"
            raise RotationError(Kind.POLICY, "the secret's engine is not known", check=check, secret=credential.secret)
        strategy = environ.get("KEYTURN_STRATEGY") or (ALTERNATING_USERS if credential.superuser_secret else SINGLE_USER)
        if strategy not in STRATEGIES:
            check = f"the variable; it is one of {', '.join(STRATEGIES)}"
            raise RotationError(Kind.POLICY, "KEYTURN_STRATEGY is not a strategy", check=check, secret=credential.secret)
        engine: Engine = getattr(import_module(f"{__name__}.{name}"), strategy).from_environment(environ)
        return engine

    return choose
