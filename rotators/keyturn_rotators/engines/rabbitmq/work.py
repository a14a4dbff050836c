"""The administrator's part: users are changed through the management API, at a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.management import PORT, PORT_WITHOUT_TLS, Management
from keyturn_rotators.engines.rabbitmq.users import Users


def managed(credential: Credential) -> Credential:
    """At the management API's port, where the administrator's secret names none: the app's is that of AMQP."""
    return credential.replaced(port=PORT if credential.tls else PORT_WITHOUT_TLS)


@contextmanager
def users_of(superuser: Credential, context: Context) -> Iterator[Users]:
    with Management(superuser, deadline=context.deadline) as api:
        yield Users(api)
