"""Logs in to RabbitMQ over and over with the credential that its pod was given: `python -m keyturn_lab.apps.rabbitmq_client`.

It does so by AMQP, as apps do: the management API refuses users without a management tag. DB_NAME is the virtual host.
"""

import sys

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main
from keyturn_lab.backends.amqp_client import AmqpConnection, AmqpRefused

PORT, VIRTUAL_HOST = 5672, "/"


def connect(login: Login) -> Session:
    """A connection that has logged in and has opened its virtual host."""
    vhost = login.database or VIRTUAL_HOST
    return AmqpConnection(login.host, login.port or PORT, user=login.user, password=login.password, vhost=vhost, timeout=TIMEOUT)


def kind(error: Exception) -> str:
    """What it was, by the server's code."""
    if isinstance(error, AmqpRefused):
        return "authentication" if error.code == AmqpRefused.LOGIN else f"server {error.code}"
    return "network"


DRIVER = Driver(name="rabbitmq", connect=connect, errors=(AmqpRefused, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
