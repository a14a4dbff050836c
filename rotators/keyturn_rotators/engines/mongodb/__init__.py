"""MongoDB, and Amazon DocumentDB, which speaks MongoDB's protocol and has its commands for users.

SingleUser replaces the password of the user. AlternatingUsers keeps two users with the same roles. A user has one password, so there is no
Overlap.
"""

from keyturn_rotators.engines.mongodb.alternating import AlternatingUsers
from keyturn_rotators.engines.mongodb.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
