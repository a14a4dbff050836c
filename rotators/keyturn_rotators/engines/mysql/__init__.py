"""MySQL 8 and MariaDB: RDS, Aurora, plain.

SingleUser changes the password of the user. AlternatingUsers keeps two logins with the same rights. Overlap gives one user two passwords at
once, which MySQL can and MariaDB cannot.
"""

from keyturn_rotators.engines.mysql.alternating import AlternatingUsers
from keyturn_rotators.engines.mysql.overlap import Overlap
from keyturn_rotators.engines.mysql.single import SingleUser

__all__ = ["AlternatingUsers", "Overlap", "SingleUser"]
