"""Amazon Redshift, provisioned clusters, by SQL.

SingleUser has the user change its password. AlternatingUsers keeps two users with the same groups, roles and grants. A user has one
password, so there is no Overlap.
"""

from keyturn_rotators.engines.redshift.alternating import AlternatingUsers
from keyturn_rotators.engines.redshift.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
