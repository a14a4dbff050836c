"""Active Directory: passwords by unicodePwd, which it takes over TLS only.

https://learn.microsoft.com/openspecs/windows_protocols/ms-adts/6e803168-f140-4d23-b2d3-c3a8ab5917d2
"""

from keyturn_rotators.engines.activedirectory.dialect import ActiveDirectory
from keyturn_rotators.engines.ldap.alternating import AlternatingUsers as AlternatingInDirectory
from keyturn_rotators.engines.ldap.single import SingleUser as SingleInDirectory
from keyturn_rotators.engines.ldap.work import directory

__all__ = ["AlternatingUsers", "SingleUser"]


class SingleUser(SingleInDirectory):
    """One user; its old password may be taken for an hour more."""

    dialect = ActiveDirectory()
    back_end = directory(ActiveDirectory())


class AlternatingUsers(AlternatingInDirectory):
    """The user and its clone."""

    dialect = ActiveDirectory()
    back_end = directory(ActiveDirectory())
