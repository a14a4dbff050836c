"""Db2 on Amazon RDS, whose users RDS keeps: their passwords are set by its procedures in the database RDSADMIN.

SingleUser changes the password of the user. AlternatingUsers keeps two users with the same rights. Both need the superuser's secret. A
server of your own has no users: its operating system has, or LDAP.
"""

from keyturn_rotators.engines.db2.alternating import AlternatingUsers
from keyturn_rotators.engines.db2.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
