"""What the common suite needs of an engine: a secret, a user of its own in a real back end, and a way to try a credential."""

import json
import string
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import StrEnum

import pytest
from tests.unit.rotators.stores import DictionaryStore, Killed, Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import chooser
from keyturn_rotators.errors import RotationError
from keyturn_rotators.rotation import ROTATION, Request, Result, Rotation, Step
from keyturn_rotators.versions import CURRENT, PENDING

APP, SUPERUSER = "app", "superuser"  # the secrets
WITHIN = 60.0  # seconds for a step, on a machine that is busy


class Capability(StrEnum):
    """What an engine or strategy can, or what its back end is. A case that asks for one is not there for who has not declared it."""

    HOST = "host"  # the secret says where the back end is
    TLS = "TLS"  # ... and it is spoken to with TLS unless the secret says `"ssl": false`
    SUPERUSER = "superuser"  # another secret's login changes the user
    PASSWORD = "password"  # the credential is a password, made by the environment's policy
    OVERLAP = "overlap"  # the old credential works until the next rotation, or until it is retired
    RETIRE = "retire"
    RESTORE = "restore"
    SESSIONS = "sessions"  # retiring ends the old credential's sessions


COMMON = frozenset({Capability.HOST, Capability.TLS, Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})
"""Of a server's user who changes its own password."""
BY_SUPERUSER = COMMON | {Capability.SUPERUSER}
IN_TURN = BY_SUPERUSER | {Capability.OVERLAP, Capability.SESSIONS}


class Held(ABC):
    """A session that an application holds open."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it can still be worked with."""

    @abstractmethod
    def close(self) -> None: ...


class Bench(ABC):
    """One secret and its back end. What the engine asks of either counts as a request of `life`, and is not made once that is over.

    An adapter routes the engine's requests so: over TCP through a MortalProxy, in the process by calling `life.request()`.
    """

    credential_field = "password"  # of the secret: what a rotation replaces
    longest_password = 200
    forbidden = ""  # characters that the back end cannot take in a password
    strides = (1, 1)  # every how many requests a rotation, and another step, is killed; more than 1 only where it makes very many of them

    def __init__(self, life: Life, value: Mapping[str, object], *, superuser: Mapping[str, object] | None = None) -> None:
        self.life = life
        secrets = {APP: value} | ({SUPERUSER: superuser} if superuser else {})
        self.store = DictionaryStore(life, **{name: json.dumps(fields) for name, fields in secrets.items()})
        self.environ: dict[str, str] = {}

    @abstractmethod
    def can_login(self, credential: Credential) -> bool:
        """Whether the back end takes the credential, asked by another way than the engine's own code, and not counted as its request."""

    def hold(self, credential: Credential) -> Held:
        """Open a session and keep it. For SESSIONS."""
        raise NotImplementedError

    def spoil_superuser(self) -> None:
        """Make the superuser's credential a wrong one. For SUPERUSER."""
        self.edit(SUPERUSER, password="certainly-not-this-one")

    def spoil_tls(self) -> None:
        """Have the secret ask for TLS that the server has not, or whose certificate nobody trusts. For TLS."""
        for secret in self.store.values:
            self.edit(secret, ssl=True)

    @property
    def current(self) -> Credential:
        return self.store.credential(APP)

    @property
    def pending(self) -> Credential:
        return self.store.credential(APP, PENDING)

    def version(self, version: str) -> Credential:
        return Credential.parse(self.store.values[APP][version], secret=APP)

    def current_version(self) -> str:
        version = self.store.holder(APP, CURRENT)
        assert version is not None
        return version

    def edit(self, secret: str, *, label: str = CURRENT, **fields: object) -> None:
        """Change fields of a value by hand."""
        version = self.store.holder(secret, label)
        assert version is not None
        self.store.values[secret][version] = json.dumps(json.loads(self.store.values[secret][version]) | fields)

    def copy_of_current(self) -> str:
        """Somebody edits the secret without changing its credential: the version before becomes AWSPREVIOUS. Returns the new one."""
        version = str(uuid.uuid4())
        before = self.current_version()
        self.store.values[APP][version] = json.dumps(json.loads(self.store.values[APP][before]) | {"comment": "edited"})
        self.store.labels[APP].setdefault(version, set())
        self.promote(version)
        return version

    def promote(self, version: str) -> None:
        """Make a version current, as somebody else than a rotation does. As in AWS, AWSPENDING is taken off what was promoted before."""
        before = self.current_version()
        self.store.promote(APP, token=version, from_version=before)
        self.store.labels[APP][before].discard(PENDING)

    def step(self, step: Step, token: str, *, within: float = WITHIN) -> Result:
        rotation = Rotation(self.store, chooser(self.environ), deadline=Deadline.after(within))
        return rotation.run(Request(step=step, secret=APP, token=token))

    def steps(self, steps: Iterable[Step], token: str) -> None:
        for step in steps:
            self.step(step, token)

    def rotate(self) -> str:
        """A whole rotation. Returns its version."""
        token = self.store.start(APP)
        self.steps(ROTATION, token)
        return token

    def failure_of_set(self, *, within: float = WITHIN) -> RotationError:
        """How setSecret of a new rotation fails: it shows no credential, and not the driver's own error."""
        token = self.store.start(APP)
        self.step(Step.CREATE, token)
        with pytest.raises(RotationError) as failed:
            self.step(Step.SET, token, within=within)
        told = f"{failed.value}{failed.value.check}"
        for credential in (self.pending, *(self.store.credential(secret) for secret in self.store.values)):
            field = credential.get(self.credential_field)
            assert not isinstance(field, str) or not field or field not in told
        assert failed.value.__suppress_context__ or failed.value.__context__ is None, "the driver's own error may quote what it was given"
        return failed.value

    def survives(self, steps: Iterable[Step], token: str, *, ends_before: int) -> bool:
        """Whether the steps get through in a life that ends before the request of that number. Errors of a life that goes on are raised."""
        self.life.begin(ends_before=ends_before)
        try:
            self.steps(steps, token)
        except Killed:
            return False
        except RotationError:
            if not self.life.over:
                raise
            return False
        finally:
            self.life.begin()
        return True

    def passwords_of_every_character(self) -> list[str]:
        """Some passwords that together have every printable character, each with letters and digits of its own."""
        every = [character for character in string.punctuation if character not in self.forbidden]
        common = "".join(character for character in string.ascii_letters + string.digits if character not in self.forbidden)
        if len(every) + len(common) <= self.longest_password:
            return [common + "".join(every)]
        some = "".join(letters[:4] for letters in (string.ascii_lowercase, string.ascii_uppercase, string.digits))
        room = self.longest_password - len(some)
        rest = every + [character for character in common if character not in some]
        return [some + "".join(rest[start : start + room]) for start in range(0, len(rest), room)]
