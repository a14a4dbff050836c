"""A version that cannot become the Secret's content: what is known of it, and what somebody can do about it.

The value of a version never changes, and neither does what a spec makes of it: to try again without a newer version or an edit is of no
use. So the run that brought it ends, and nothing is made of that version until one of the two has happened. To rotate on is no way out by
itself: the pods still use the version before, and the next rotation may take just that credential from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from keyturn.api import MirrorStatus, RejectedVersion, RotatingSecret, Strategy, duration
from keyturn.domain.mirroring import shape
from keyturn.domain.observed import RunView

REASON = "ContentInvalid"
DANGER: Mapping[Strategy | None, str] = {
    Strategy.ALTERNATING_USERS: "the next rotation changes the password of the very user with which they log in",
    Strategy.OVERLAP: "the next rotation may take the credential from them that they use",
}
UNKNOWN_DANGER = "the next rotation may take the credential from them that they use (spec.rotation.strategy does not say)"


def is_about(rejected: RejectedVersion | None, *, version: str | None, parent: RotatingSecret) -> bool:
    """The rejection holds for this version and for the spec as it is now."""
    return rejected is not None and (rejected.version_id, rejected.shape) == (version, shape(parent.spec.target))


def known_rejection(
    parent: RotatingSecret, runs: Sequence[RunView], *, current: str, mirror: MirrorStatus | None
) -> RejectedVersion | None:
    """Why the current version cannot become the content, if that was found out; a mirror that holds it proves otherwise."""
    if mirror is not None and (mirror.version_id, mirror.shape) == (current, shape(parent.spec.target)):
        return None
    known = (*(run.rejected for run in runs), parent.status.rejected)
    return next((found for found in known if is_about(found, version=current, parent=parent)), None)


def gives_up_at(rejected: RejectedVersion, parent: RotatingSecret, *, others_wait: bool) -> datetime:
    """When the run that brought the version fails. Who else waits is not kept from acting by what waiting does not mend."""
    return rejected.time if others_wait else rejected.time + duration(parent.spec.rollout.timeout)


def may_rotate_on(strategy: Strategy | None) -> bool:
    """Nothing is left to protect: with one user, the pods' password died when AWS promoted the version that was rejected."""
    return strategy is Strategy.SINGLE_USER


def ways_out(rejected: RejectedVersion, parent: RotatingSecret) -> str:
    """Why, what the Secret holds, and what to do: the message of everybody who is concerned."""
    mirror = parent.status.mirror
    keeps = f" Secret {mirror.secret_name} keeps version {mirror.version_id}." if mirror is not None else ""
    return (
        f"{rejected.message}{keeps} Put a version that has what is needed into AWS (aws secretsmanager put-secret-value --secret-id"
        f" {parent.spec.secret_id} ...), or edit spec.target."
    )


def why_not_rotate(rejected: RejectedVersion, parent: RotatingSecret, strategy: Strategy | None) -> str | None:
    """Why a run does not rotate on by itself, and how somebody says that it shall; None where nothing speaks against it."""
    settled = parent.status.settled
    if settled is not None and settled.version_id == rejected.version_id:
        why = "spec.target as it is now makes no content of the version that the pods use, and may make none of the next one either"
    elif may_rotate_on(strategy):
        return None
    else:
        why = (
            f"version {rejected.version_id} is current in AWS and cannot be brought to the pods, which use the version before:"
            f" {DANGER.get(strategy, UNKNOWN_DANGER)}"
        )
    return (
        f"{why}. {ways_out(rejected, parent)} To rotate nevertheless: keyturn rotate"
        f" {parent.metadata.name} -n {parent.metadata.namespace} --urgent"
    )
