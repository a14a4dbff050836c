"""PostgreSQL: RDS, Aurora, plain; versions 13 and later.

SingleUser changes the password of the user by itself. AlternatingUsers keeps two logins for one set of rights: see `alternating`.
"""

from keyturn_rotators.engines.postgres.alternating import AlternatingUsers
from keyturn_rotators.engines.postgres.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
