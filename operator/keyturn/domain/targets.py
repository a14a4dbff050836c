"""The mirrored Secret as an object: whose it is, what its metadata must say, and whether it must be written.

Which Secret is ours is told by its uid in the status, or by an annotation with the RotatingSecret's uid, which only a writer of Secrets
can set (the process may have died between its first write and its status). Labels are an index for the watch and prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keyturn.api import API_VERSION, ConflictPolicy, MirrorStatus, RotatingSecret
from keyturn.domain.observed import TargetView

LABEL_MANAGED = "keyturn.dev/managed"
LABEL_SECRET = "keyturn.dev/rotatingsecret"  # noqa: S105 - the name of a label
VERSION = "keyturn.dev/version"
EPOCH = "keyturn.dev/epoch"
OWNER = "keyturn.dev/owner"
ADOPT_BY = "keyturn.dev/adopt-by"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # kubectl's copy of the whole object, values included
HAND_TOOLS = frozenset({"unknown", "curl", "k9s", "Mozilla", "node-fetch", "OpenAPI-Generator", "python-requests"})
"""Field managers that stand for people and scripts; `unknown` is a client that does not name itself."""


def target_name(secret: RotatingSecret) -> str:
    """The Secret's name."""
    return secret.spec.target.name or secret.metadata.name


def wanted_labels(secret: RotatingSecret) -> dict[str, str]:
    """The user's labels, and the two of the index."""
    return {**secret.spec.target.labels, LABEL_MANAGED: "true", LABEL_SECRET: secret.metadata.name}


def wanted_annotations(secret: RotatingSecret, *, version: str, epoch: int) -> dict[str, str]:
    """The user's annotations, and what the Secret itself says of its content."""
    ours = {VERSION: version, EPOCH: str(epoch), OWNER: secret.metadata.uid}
    return {**secret.spec.target.annotations, **ours}


def owner_reference(secret: RotatingSecret) -> dict[str, object] | None:
    """The reference by which the Secret goes with its RotatingSecret; None where it is to stay."""
    if secret.spec.target.retained:
        return None
    return {
        "apiVersion": API_VERSION,
        "kind": "RotatingSecret",
        "name": secret.metadata.name,
        "uid": secret.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def metadata_is_as_wanted(secret: RotatingSecret, target: TargetView) -> bool:
    """Everything that the spec asks of the metadata is there; what others added does not matter."""
    labels = all(target.labels.get(key) == value for key, value in wanted_labels(secret).items())
    annotations = all(target.annotations.get(key) == value for key, value in secret.spec.target.annotations.items())
    return labels and annotations and (secret.metadata.uid in target.owner_uids) is not secret.spec.target.retained


def is_touched(secret: RotatingSecret, target: TargetView | None, mirror: MirrorStatus) -> bool:
    """The Secret is gone, is not as it was last written, or lacks metadata that the spec wants."""
    if target is None or target.resource_version != mirror.resource_version:
        return True
    return not metadata_is_as_wanted(secret, target)


def conflict_with(secret: RotatingSecret, target: TargetView, recorded: MirrorStatus | None) -> str | None:
    """Why an existing Secret may not be written; None if it is ours, or consents to be adopted."""
    name = f"Secret {secret.metadata.namespace}/{target.name}"
    if target.type != secret.spec.target.type.value:
        return f"{name} exists with type {target.type}, not {secret.spec.target.type.value}: delete it, or choose another spec.target.name"
    if is_ours(secret, target, recorded):
        return None
    if secret.spec.target.conflict is not ConflictPolicy.ADOPT:
        return f"{name} exists and is not Keyturn's: delete it, choose another spec.target.name, or set spec.target.conflict: Adopt"
    if target.adopt_by != secret.metadata.name:
        return f"{name} does not consent to be adopted: annotate it with {ADOPT_BY}={secret.metadata.name}"
    if live := sorted(manager for manager in target.managers if not _by_hand(manager)):
        return f"{name} is managed by {', '.join(live)}: have that let go of it, or delete the Secret, before it is adopted"
    return None


def obstacle(target: TargetView) -> tuple[object, ...]:
    """What of a Secret in the way decides whether it stays there: everything that `conflict_with` asks and that may change."""
    return target.uid, target.adopt_by, target.managers, target.annotations.get(OWNER)


def _by_hand(manager: str) -> bool:
    """A tool that writes only when a person tells it to; of any other, it must be expected that it writes its own content again."""
    return manager.startswith("kubectl") or manager in HAND_TOOLS


def is_ours(secret: RotatingSecret, target: TargetView, recorded: MirrorStatus | None) -> bool:
    """Written by this RotatingSecret before."""
    if recorded is not None and recorded.secret_uid == target.uid:
        return True
    return target.annotations.get(OWNER) == secret.metadata.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What the Secret is to hold after this pass. `since` None: since the write."""

    epoch: int
    changed: bool  # the data is other than what was last written down as ours
    needed: bool = True  # False: the Secret is just so already
    since: datetime | None = None


def decide_write(
    *,
    recorded: MirrorStatus | None,
    live_epoch: int | None,
    exists: bool,
    same_data: bool,
    same_metadata: bool,
    version: str,
    shape: str,
    may_have_been_read: bool,
) -> Write:
    """Whether to write, and whether the content's epoch and time move on.

    The same content written again (a deleted Secret, a repair that no pod can have seen) keeps both: pods that run on it still do.
    """
    if recorded is None:
        known = live_epoch or 0
        epoch = known + 1 if known == 0 or (exists and not same_data) else known
        return Write(epoch=epoch, changed=not same_data, needed=not (exists and same_data and same_metadata))
    epoch = max(recorded.epoch, live_epoch or 0)
    repeated = recorded.version_id == version and recorded.shape == shape
    if not exists and repeated:
        return Write(epoch=epoch, changed=False, since=recorded.time)
    if exists and same_data:
        return Write(epoch=epoch, changed=False, needed=not same_metadata, since=recorded.time if epoch == recorded.epoch else None)
    if repeated and not may_have_been_read:
        return Write(epoch=epoch, changed=False, since=recorded.time)
    return Write(epoch=epoch + 1, changed=True)
