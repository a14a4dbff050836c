"""What Redshift takes as a password: 8 to 64 of printable ASCII but five, with a letter of each case and a digit.

https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_USER.html
"""

from collections.abc import Mapping
from dataclasses import replace

from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy

FORBIDDEN = "'\"\\/@"
LONGEST = 64


def policy(environ: Mapping[str, str]) -> PasswordPolicy:
    """The environment's policy, within what the server takes: as in AWS's function, the classes that it asks for cannot be left out.

    A password without them would be stored before the server refuses it, and no step would replace it.
    """
    asked = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN, longest=LONGEST)
    return replace(asked, lowercase=True, uppercase=True, numbers=True, each_class=True)
