"""Access keys of IAM users: two at most, so that a new one works beside the old one. Overlap is the only strategy."""

from keyturn_rotators.engines.iam_access_key.overlap import Overlap

__all__ = ["Overlap"]
