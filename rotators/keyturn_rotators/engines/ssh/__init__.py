"""OpenSSH: keys of an account, two at a time, or its password.

https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from keyturn_rotators.engines.ssh.overlap import Overlap
from keyturn_rotators.engines.ssh.single import SingleUser

__all__ = ["Overlap", "SingleUser"]
