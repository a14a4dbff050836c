"""The secrets of the lab: what Secrets Manager keeps, per account and Region.

Values are kept out of every repr, so that a failing assertion or a log line cannot show one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import labels as rules
from .schedule import Schedule, Window

KEPT_VERSIONS = 100
PRUNED_AFTER = timedelta(hours=24)


@dataclass(slots=True, kw_only=True)
class Version:
    """One version of a secret. Without a value until somebody puts one: RotateSecret makes it empty."""

    version_id: str
    created: datetime
    string: str | None = field(default=None, repr=False)
    binary: str | None = field(default=None, repr=False)
    accessed: datetime | None = None
    kms_key_id: str | None = None
    by_rotation: bool = False

    @property
    def has_value(self) -> bool:
        """Whether GetSecretValue can answer for it."""
        return self.string is not None or self.binary is not None

    def holds(self, string: str | None, binary: str | None) -> bool:
        """The same value: what makes a repeated token harmless."""
        return self.string == string and self.binary == binary


@dataclass(slots=True, kw_only=True)
class ActiveRotation:
    """A rotation that the lab is running: its token is the version id that it makes."""

    version_id: str
    rotation_token: str = field(repr=False)
    test_only: bool = False


@dataclass(slots=True, kw_only=True)
class Rotation:
    """How a secret is rotated; kept when rotation is cancelled."""

    lambda_arn: str
    rules: dict[str, Any]
    schedule: Schedule | None
    enabled: bool = True
    since: datetime
    window: Window | None = None
    due: datetime | None = None
    days: int | None = None


@dataclass(slots=True, kw_only=True)
class Secret:
    """One secret with its versions and labels."""

    name: str
    arn: str
    account: str
    region: str
    created: datetime
    changed: datetime
    description: str = ""
    kms_key_id: str | None = None
    tags: list[dict[str, str]] = field(default_factory=list)
    policy: str | None = None
    kind: str | None = None
    owning_service: str | None = None
    accessed: datetime | None = None
    rotated: datetime | None = None
    deleted: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    rotation: Rotation | None = None
    active: ActiveRotation | None = None

    @property
    def current(self) -> str | None:
        """The version id with AWSCURRENT."""
        return self.labels.get(rules.CURRENT)

    @property
    def stages(self) -> dict[str, list[str]]:
        """VersionIdsToStages: versions without labels are deprecated, and not in it."""
        return {holder: rules.stages_of(self.labels, holder) for holder in dict.fromkeys(self.labels.values())}

    def prune(self, now: datetime) -> None:
        """Above 100 versions the oldest without labels go, but none younger than a day."""
        labelled = set(self.labels.values())
        spare = [v for v in self.versions.values() if v.version_id not in labelled and v.created < now - PRUNED_AFTER]
        for version in sorted(spare, key=lambda v: v.created)[: max(0, len(self.versions) - KEPT_VERSIONS)]:
            del self.versions[version.version_id]

    def move_back(self, step: timedelta) -> None:
        """Make the secret older, so that a schedule finds it due."""
        self.created -= step
        self.changed -= step
        self.rotated = self.rotated - step if self.rotated else None
        for version in self.versions.values():
            version.created -= step


class Store:
    """All secrets, found by name, full ARN, or ARN without the suffix."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, str, str], Secret] = {}
        self._by_arn: dict[str, Secret] = {}

    def __iter__(self) -> Iterator[Secret]:
        return iter(list(self._named.values()))

    def add(self, secret: Secret) -> None:
        """The caller has checked that the name is free."""
        self._named[secret.account, secret.region, secret.name] = secret
        self._by_arn[secret.arn] = secret

    def remove(self, secret: Secret) -> None:
        """Gone for good."""
        self._named.pop((secret.account, secret.region, secret.name), None)
        self._by_arn.pop(secret.arn, None)

    def clear(self) -> None:
        """Gone, all of them."""
        self._named.clear()
        self._by_arn.clear()

    def find(self, secret_id: str, *, account: str, region: str) -> Secret | None:
        """One secret by any of its identifiers; an ARN may be another account's, but not another Region's."""
        if not secret_id.startswith("arn:"):
            return self._named.get((account, region, secret_id))
        _, _, service, arn_region, arn_account, kind, *name = [*secret_id.split(":", 6), "", "", "", "", ""]
        if (service, kind, arn_region) != ("secretsmanager", "secret", region):
            return None
        return self._by_arn.get(secret_id) or self._named.get((arn_account, arn_region, name[0]))

    def within(self, *, account: str, region: str) -> list[Secret]:
        """Those of one account in one Region, in the order of their making."""
        return [secret for secret in self if (secret.account, secret.region) == (account, region)]
