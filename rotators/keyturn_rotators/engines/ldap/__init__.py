"""OpenLDAP and other directories that know RFC 3062's change of passwords."""

from keyturn_rotators.engines.ldap.alternating import AlternatingUsers
from keyturn_rotators.engines.ldap.single import SingleUser

__all__ = ["AlternatingUsers", "SingleUser"]
