"""What of AWS's behaviour is undocumented or slow, and therefore a setting of the lab."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Set when the lab starts; changed while it runs with `Aws.configure`."""

    rotation_attempts: int = 3
    """How often a rotation's steps are run before AWS gives up. AWS says "multiple times" and no more."""

    rotation_retry_seconds: float = 0.2
    """Real seconds between two attempts."""

    keep_pending: bool = False
    """Whether a promoted version keeps AWSPENDING beside AWSCURRENT when a rotation promotes it. AWS's documentation says that it goes,
    recorded responses of a secret without rotation show that it stays; RotateSecret allows both."""

    lambda_concurrency: int = 4
    """Child processes for one function at a time; further calls wait."""

    require_lambda_identity: bool = True
    """Whether a pending version that somebody else than the rotation function wrote fails the rotation, as on AWS."""
