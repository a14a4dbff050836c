"""What of AWS's behaviour is undocumented or slow, and therefore a setting of the lab."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Set when the lab starts; changed while it runs with `Aws.configure`."""

    rotation_attempts: int = 3
    """How often a rotation's steps are run before AWS gives up. AWS says "multiple times" and no more."""

    rotation_retry_seconds: float = 0.2
    """Real seconds between two attempts."""

    keep_pending: bool = True
    """Whether the version that a rotation promotes keeps AWSPENDING beside AWSCURRENT. A rotation recorded on AWS (2023-12-19) shows that
    it does; newer documentation of finishSecret says that it goes with the same call. RotateSecret allows both, so try both."""

    lambda_concurrency: int = 4
    """Child processes for one function at a time; further calls wait."""

    require_lambda_identity: bool = True
    """Whether a pending version that somebody else than the rotation function wrote fails the rotation, as on AWS."""
