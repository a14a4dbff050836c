"""Users of ElastiCache and MemoryDB, which AWS keeps: two passwords at once, set by AWS's API.

Logins are tried like those of any Redis, where the secret names a host.
"""

from keyturn_rotators.engines.elasticache.overlap import Overlap

__all__ = ["Overlap"]
