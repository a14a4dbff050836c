"""One application's database with its two users, its secret and a superuser who is none, on a real PostgreSQL."""

import json
import uuid
from typing import Any

import pytest
from pg8000.native import Connection
from tests.unit.rotators.stores import DictionaryStore

from keyturn_lab.backends import Postgres
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import chooser
from keyturn_rotators.errors import RotationError
from keyturn_rotators.rotation import ROTATION, Request, Result, Rotation, Step

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"
WITHIN = 60.0  # seconds for a step, on a machine that is busy


class Shop:
    """Names are unique, so that all tests share one server."""

    def __init__(self, pg: Postgres, *, strategy: str = "AlternatingUsers", **fields: object) -> None:
        mark = uuid.uuid4().hex[:8]
        self.pg, self.strategy = pg, strategy
        self.database, self.app, self.admin = f"shop_{mark}", f"app_{mark}", f"admin_{mark}"
        pg.create_app_user(self.app, PASSWORD, database=self.database)
        pg.create_admin(self.admin, ADMIN_PASSWORD, rotates=(self.app,))
        value = pg.secret(self.app, PASSWORD, dbname=self.database, masterarn="superuser") | fields
        self.store = DictionaryStore(app=json.dumps(value), superuser=json.dumps(pg.secret(self.admin, ADMIN_PASSWORD)))
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    @property
    def current(self) -> Credential:
        return self.store.credential("app")

    def step(self, step: Step, token: str, *, within: float = WITHIN) -> Result:
        rotation = Rotation(self.store, chooser(self.environ), deadline=Deadline.after(within))
        return rotation.run(Request(step=step, secret="app", token=token))

    def rotate(self) -> Credential:
        """A whole rotation. Returns what is current after it."""
        token = self.store.start("app")
        for step in ROTATION:
            self.step(step, token)
        return self.current

    def failure_of_set(self, *, within: float = WITHIN) -> RotationError:
        """How setSecret of a new rotation fails: it shows no password, and not the driver's own error."""
        token = self.store.start("app")
        self.step(Step.CREATE, token)
        with pytest.raises(RotationError) as failed:
            self.step(Step.SET, token, within=within)
        assert PASSWORD not in str(failed.value)
        assert failed.value.__cause__ is None, "the driver's own error may quote what it was given"
        return failed.value

    def use(self, sql: str, *params: object, credential: Credential | None = None) -> list[list[Any]]:
        """Run a statement as the application does, with the current credential or another."""
        login = credential or self.current
        return self.pg.execute(sql, *params, user=login.username, password=login.password, database=self.database)

    def connection(self, credential: Credential | None = None) -> Connection:
        """A connection of the application, with the current credential or another."""
        login = credential or self.current
        return Connection(
            login.username, password=login.password, host=self.pg.host, port=self.pg.port, database=self.database, ssl_context=False
        )

    def own(self, sql: str, *params: object, database: str | None = None) -> list[list[Any]]:
        """Run a statement as the owner of everything else: the server's superuser."""
        return self.pg.execute(sql, *params, database=database or self.database)

    def set_value(self, secret: str, **fields: object) -> None:
        """Edit the current value by hand."""
        version = self.store.holder(secret, "AWSCURRENT")
        assert version is not None
        self.store.values[secret][version] = json.dumps(json.loads(self.store.values[secret][version]) | fields)
