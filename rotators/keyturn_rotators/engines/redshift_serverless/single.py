"""The admin's password is changed by the function's role, through AWS's API; logins are tried at the workgroup, as ever.

What the admin's SQL could do, ALTER USER, leaves the namespace's own record of the admin alone; the API is what AWS documents for it.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from keyturn_rotators.back_end import differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines import redshift
from keyturn_rotators.engines.redshift.connection import BACK_END, Session, logs_in
from keyturn_rotators.engines.redshift_serverless.namespace import FIELD, Namespace
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.settings import Settings

POLL = "KEYTURN_POLL_SECONDS"
SETTLED_WITHIN = 30.0  # seconds, until the workgroup takes a password that AWS calls set


class SingleUser(redshift.SingleUser):
    """One user, one password; see the class for SQL for all that is not said here."""

    back_end = replace(BACK_END, differs=differs_in(FIELD))

    def __init__(self, settings: Settings, *, poll: float) -> None:
        """`poll`: seconds between two looks at the namespace."""
        super().__init__(settings)
        self._poll = poll

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        try:
            poll = float(environ.get(POLL) or 2)
        except ValueError:
            raise RotationError(Kind.POLICY, f"{POLL} is not a number", check="the variable of the function") from None
        return cls(cls.back_end.settings(environ), poll=poll)

    def propose(self, current: Credential, context: Context) -> Credential:
        current.text(FIELD)
        return super().propose(current, context)

    def _is_settled(self, wanted: Credential, context: Context) -> bool:
        # An attempt that died may have left a change under way, during which neither password is sure to be taken.
        self._namespace(wanted, context).available()
        return super()._is_settled(wanted, context)

    def _change(self, work: Session, wanted: Credential, context: Context) -> None:
        namespace = self._namespace(wanted, context)
        namespace.set_admin_password(wanted.password)
        until = time.monotonic() + context.deadline.remaining(at_most=SETTLED_WITHIN)
        while not logs_in(wanted, deadline=context.deadline):
            if time.monotonic() > until:
                check = "the namespace's events; the step may be repeated"
                raise namespace.error(Kind.SERVER, "AWS has set the password, and the workgroup does not take it", check)
            time.sleep(context.deadline.remaining(at_most=self._poll))

    def _namespace(self, credential: Credential, context: Context) -> Namespace:
        return Namespace(credential, deadline=context.deadline, poll=self._poll)
