"""The gradual password rollover of 19.12 and later: the old password is taken for as long as the user's profile says, or until retired.

https://docs.oracle.com/en/database/oracle/oracle-database/19/dbseg/configuring-authentication.html
"""

from keyturn_rotators.engines.oracle.single import Passwords, SingleUser
from keyturn_rotators.errors import Kind

ROLLOVER_TIME = "SELECT limit FROM user_password_limits WHERE resource_name = 'PASSWORD_ROLLOVER_TIME'"
NONE = frozenset({"", "0", "DEFAULT", "UNLIMITED"})
PROFILE = "CREATE PROFILE ... LIMIT PASSWORD_ROLLOVER_TIME 1 (days, at least 1/24), and ALTER USER ... PROFILE; or SingleUser"


class Overlap(SingleUser):
    """SingleUser, and refused where the profile has no rollover time: nothing is changed that would cost the current password."""

    def _confirm(self, passwords: Passwords) -> None:
        rows = passwords.itself.run(ROLLOVER_TIME)
        if not rows:
            what = "the server knows no gradual password rollover: it came with 19.12 and 21c"
            raise passwords.itself.place.error(Kind.POLICY, what, "KEYTURN_STRATEGY: SingleUser or AlternatingUsers")
        if str(rows[0][0] or "").strip() in NONE:
            raise passwords.itself.place.error(Kind.POLICY, "the user's profile has no PASSWORD_ROLLOVER_TIME", PROFILE)
