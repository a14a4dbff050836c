"""Microsoft SQL Server: RDS, and servers of your own.

SingleUser changes the password of the login. AlternatingUsers keeps two logins with the same rights, on the server and in its databases.
"""

from keyturn_rotators.engines.sqlserver.alternating import AlternatingUsers
from keyturn_rotators.engines.sqlserver.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
