"""The administrator's part: users are changed through the management API, at a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.management import Management
from keyturn_rotators.engines.rabbitmq.users import Users

THE_APIS = 0  # none: the API's own, which follows from the superuser's `ssl` and not from the app's


@contextmanager
def users_of(superuser: Credential, context: Context) -> Iterator[Users]:
    with Management(superuser, deadline=context.deadline) as api:
        yield Users(api)
