"""A back end for the strategies' order of steps: it writes down who came and what was done, in the order in which it was."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.back_end import BackEnd, differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.settings import Settings
from keyturn_rotators.superuser import Superuser
from keyturn_rotators.versions import PREVIOUS

APP: dict[str, object] = {"engine": "fake", "host": "db.example", "username": "app", "password": "first", "realm": "one"}


class Door:
    """Users and their passwords, and the secret `app`, whose user is the first of them."""

    def __init__(self, **passwords: str) -> None:
        self.passwords = {"app": "first"} | passwords
        self.events: list[str] = []
        self.refuses_as = Kind.AUTHENTICATION
        self.is_broken = False  # what is to be changed stays as it is
        self.at_open: Callable[[], None] = lambda: None
        self.store = DictionaryStore(app=json.dumps(APP), superuser=json.dumps({"username": "root", "password": "r", "host": "db.example"}))
        self.context = Context(self.store, "app", Deadline.after(60))
        self.settings = Settings(policy=PasswordPolicy(), superuser=Superuser(secret="superuser"))
        self.back_end = BackEnd(log_in=self.log_in, port=lambda _: 1234, differs=differs_in("realm"))

    @contextmanager
    def log_in(self, credential: Credential, _: Deadline) -> Iterator[str]:
        self.events.append(f"login {credential.username}")
        if self.passwords.get(credential.username) != credential.password:
            raise RotationError(self.refuses_as, "refused", check="the test")
        yield credential.username

    @contextmanager
    def open(self) -> Iterator[str]:
        """What an engine does to be able to change something."""
        self.events.append("open")
        self.at_open()
        yield "work"

    def set_password(self, credential: Credential) -> None:
        self.events.append(f"set {credential.username}")
        if not self.is_broken:
            self.passwords[credential.username] = credential.password

    def shut_out(self, credential: Credential) -> None:
        self.events.append(f"shut out {credential.username}")
        if not self.is_broken:
            self.passwords.pop(credential.username, None)

    def begin_rotation(self) -> None:
        self.store.start("app")

    def previous(self, **fields: object) -> None:
        """There is an AWSPREVIOUS that differs from the current version in these."""
        self.store.values["app"]["v0"] = json.dumps(APP | fields)
        self.store.label("app", PREVIOUS, "v0")


def version(**fields: object) -> Credential:
    """A value that differs from the current one in these fields."""
    return Credential(APP | fields, secret="app")
