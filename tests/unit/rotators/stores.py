"""A VersionStore in a dictionary, which counts what it is asked and can die before any request."""

import uuid
from collections import Counter

from keyturn_rotators.rotation import CURRENT, PENDING, PREVIOUS, Description, VersionExists, VersionMissing


class Killed(BaseException):
    """The process ends here: nothing may catch it."""


class DictionaryStore:
    """Versions and labels of some secrets, with AWS's rules for moving them."""

    def __init__(self, **values: str) -> None:
        """`values` are the current values of secrets, by name."""
        self.values: dict[str, dict[str, str]] = {}
        self.labels: dict[str, dict[str, set[str]]] = {}
        self.enabled: bool | None = True
        self.calls: Counter[tuple[str, str]] = Counter()  # by action and secret
        self.rotation_tokens: list[str | None] = []
        self.die_before: int | None = None
        for name, value in values.items():
            self.values[name], self.labels[name] = {"v1": value}, {"v1": {CURRENT}}

    def start(self, secret: str) -> str:
        """What RotateSecret does: a new version without a value, labelled AWSPENDING."""
        token = str(uuid.uuid4())
        self._label(secret, PENDING, token)
        return token

    def holder(self, secret: str, label: str) -> str | None:
        return next((version for version, labels in self.labels[secret].items() if label in labels), None)

    def value(self, secret: str, label: str = CURRENT) -> str:
        version = self.holder(secret, label)
        assert version is not None
        return self.values[secret][version]

    def describe(self, secret: str) -> Description:
        self._called("DescribeSecret", secret)
        stages = {version: frozenset(labels) for version, labels in self.labels[secret].items() if labels}
        return Description(rotation_enabled=self.enabled, stages=stages)

    def read(self, secret: str, *, label: str, version: str | None = None) -> str:
        self._called("GetSecretValue", secret)
        holder = self.holder(secret, label)
        if holder is None or version not in (None, holder) or holder not in self.values[secret]:
            raise VersionMissing
        return self.values[secret][holder]

    def put_pending(self, secret: str, *, token: str, value: str, rotation_token: str | None) -> None:
        self._called("PutSecretValue", secret)
        self.rotation_tokens.append(rotation_token)
        if self.values[secret].get(token, value) != value:
            raise VersionExists
        self.values[secret][token] = value
        self._label(secret, PENDING, token)

    def promote(self, secret: str, *, token: str, from_version: str) -> None:
        self._called("UpdateSecretVersionStage", secret)
        assert self.holder(secret, CURRENT) == from_version, "AWS refuses to take a label from a version that has it not"
        self._label(secret, PREVIOUS, from_version)
        self._label(secret, CURRENT, token)

    def _label(self, secret: str, label: str, version: str) -> None:
        for labels in self.labels[secret].values():
            labels.discard(label)
        self.labels[secret].setdefault(version, set()).add(label)

    def _called(self, action: str, secret: str) -> None:
        if self.die_before is not None and self.calls.total() == self.die_before:
            raise Killed
        self.calls[action, secret] += 1
