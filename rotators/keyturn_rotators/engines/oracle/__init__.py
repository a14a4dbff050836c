"""Oracle Database: RDS, and servers of your own.

SingleUser changes the password of the user. AlternatingUsers keeps two users with the same rights. Overlap uses the gradual password
rollover of 19.12 and later: for as long as the user's profile says, the old password is taken too.
"""

from keyturn_rotators.engines.oracle.alternating import AlternatingUsers
from keyturn_rotators.engines.oracle.overlap import Overlap
from keyturn_rotators.engines.oracle.single import SingleUser

__all__ = ["AlternatingUsers", "Overlap", "SingleUser"]
