"""What Redshift takes as a password: 8 to 64 of printable ASCII but five, with a letter of each case and a digit.

https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_USER.html
"""

FORBIDDEN = "'\"\\/@"
LONGEST = 64
