"""Redis 6 and later, and Valkey, by their ACL users.

Overlap gives a user two passwords at once. SingleUser replaces its password. AlternatingUsers keeps two users with the same rules, which is
what lets the connections of an old credential be told from those of the current one, and be ended.
"""

from keyturn_rotators.engines.redis.alternating import AlternatingUsers
from keyturn_rotators.engines.redis.overlap import Overlap
from keyturn_rotators.engines.redis.single import SingleUser

__all__ = ["AlternatingUsers", "Overlap", "SingleUser"]
