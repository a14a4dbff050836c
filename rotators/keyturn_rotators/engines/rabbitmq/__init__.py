"""RabbitMQ and Amazon MQ for RabbitMQ, by the management API; logins are tried where the apps log in, by AMQP.

SingleUser replaces the password of the user. AlternatingUsers keeps two users with the same rights. A RabbitMQ user has one password, so
there is no Overlap.
"""

from keyturn_rotators.engines.rabbitmq.alternating import AlternatingUsers
from keyturn_rotators.engines.rabbitmq.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
