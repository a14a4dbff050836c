"""The engine and the strategy that a secret asks for.

An engine's module is imported only when a secret needs it: a zip holds the driver of its own engine and no other.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Engine
from keyturn_rotators.engines.registry import ALTERNATING_USERS, BY_NAME, Entry
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.superuser import SUPERUSER_SECRET

ENGINE = "KEYTURN_ENGINE"
STRATEGY = "KEYTURN_STRATEGY"


def chooser(environ: Mapping[str, str]) -> Callable[[Credential], Engine]:
    """A function that finds the engine for a credential.

    KEYTURN_ENGINE overrules the secret's field `engine`, and may be `module:Class`; a secret's field may not, or whoever writes a secret
    could run code. KEYTURN_STRATEGY overrules what a superuser's secret means.
    """

    def choose(credential: Credential) -> Engine:
        named = environ.get(ENGINE, "").strip()
        if ":" in named:
            return _own(named, environ)
        entry = _entry(named, credential)
        return _packaged(entry, _strategy(entry, credential, environ), environ, credential)

    return choose


def _entry(named: str, credential: Credential) -> Entry:
    field = credential.get("engine")
    name = named or (field if isinstance(field, str) else "")
    if entry := BY_NAME.get(name.lower()):
        return entry
    what = f"{ENGINE} is not an engine" if named else "the secret's engine is not known" if name else "the secret names no engine"
    check = f"the field engine, or the variable {ENGINE} of the function; known are {', '.join(BY_NAME)}"
    raise RotationError(Kind.POLICY, what, check=check, secret=credential.secret)


def _strategy(entry: Entry, credential: Credential, environ: Mapping[str, str]) -> str:
    superuser = bool(credential.superuser_secret or environ.get(SUPERUSER_SECRET))
    meant = ALTERNATING_USERS if superuser and ALTERNATING_USERS in entry.strategies else entry.strategies[0]
    strategy = environ.get(STRATEGY) or meant
    if strategy not in entry.strategies:
        check = f"the variable; for {entry.module} it is one of {', '.join(entry.strategies)}"
        raise RotationError(Kind.POLICY, f"{STRATEGY} is not a strategy of this engine", check=check, secret=credential.secret)
    return strategy


def _packaged(entry: Entry, strategy: str, environ: Mapping[str, str], credential: Credential) -> Engine:
    """One of ours, which this function's package may be without: each zip holds one, for one Python where its driver has C code."""
    try:
        return _made(f"{__name__}.{entry.module}", strategy, environ)
    except ImportError as error:
        check = (
            f"that the zip is `keyturn-rotators package {entry.module}`'s, for the function's architecture and Python; the secret's engine"
        )
        what = f"the function's package cannot load the engine {entry.module} ({error.name or type(error).__name__})"
        raise RotationError(Kind.POLICY, what, check=check, secret=credential.secret) from None


def _own(named: str, environ: Mapping[str, str]) -> Engine:
    """An engine of the user's own, which the function's package has besides."""
    module, _, name = named.partition(":")
    try:
        return _made(module, name, environ)
    except (ImportError, AttributeError, ValueError) as error:
        check = f"that the function's package holds {named}, and that the class has from_environment"
        raise RotationError(Kind.POLICY, f"the engine of {ENGINE} cannot be loaded ({type(error).__name__})", check=check) from None


def _made(module: str, name: str, environ: Mapping[str, str]) -> Engine:
    engine: Engine = getattr(import_module(module), name).from_environment(environ)
    return engine
