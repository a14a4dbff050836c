"""How Secrets Manager moves staging labels: pure, as a table of label to version.

A label sits on at most one version of a secret, so the whole state is one mapping, and each rule of AWS is a function from one mapping to
the next. https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
"""

from collections.abc import Collection, Iterable, Mapping

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"
PENDING = "AWSPENDING"

Labels = Mapping[str, str]


class LabelError(ValueError):
    """A move of a label that AWS refuses; the text is the one that AWS answers with."""


def stages_of(labels: Labels, version: str) -> list[str]:
    """The labels of one version, sorted: AWSCURRENT, AWSPENDING, AWSPREVIOUS and custom ones in a stable order."""
    return sorted(label for label, holder in labels.items() if holder == version)


def rotation_in_progress(labels: Labels) -> bool:
    """AWSPENDING on another version than AWSCURRENT's is all that AWS knows of a rotation in progress.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
    """
    return labels.get(PENDING) not in (None, labels.get(CURRENT))


def promote(labels: Labels, version: str) -> dict[str, str]:
    """AWSCURRENT to `version`; AWSPREVIOUS follows to the version that loses it; custom labels stay where they are."""
    moved = dict(labels)
    old = moved.get(CURRENT)
    if old == version:
        return moved
    moved.pop(PREVIOUS, None)
    if old is not None:
        moved[PREVIOUS] = old
    moved[CURRENT] = version
    return moved


def put(labels: Labels, version: str, stages: Iterable[str]) -> dict[str, str]:
    """PutSecretValue: exactly these labels to `version`, taken from whoever has them.

    A value that becomes current without being the pending one ends a rotation in flight: AWSPENDING goes (recorded 2022-09-28, and
    documented as RotationAbandoned).
    """
    wanted = list(stages)
    moved = dict(labels)
    if CURRENT in wanted:
        moved = promote(moved, version)
        moved.pop(PENDING, None)
    return moved | dict.fromkeys((label for label in wanted if label != CURRENT), version)


def move(labels: Labels, label: str, *, remove_from: str | None, move_to: str | None, versions: Collection[str]) -> dict[str, str]:
    """UpdateSecretVersionStage: move a label, or take it off."""
    _known(remove_from, versions)
    _known(move_to, versions)
    holder = labels.get(label)
    if remove_from is None and move_to is None:
        raise LabelError("You must specify at least one of RemoveFromVersionId and MoveToVersionId.")
    if move_to is not None and move_to == holder:
        return dict(labels)
    if holder is not None and remove_from is None:
        raise LabelError(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version {holder}, "
            "so you must explicitly reference that version in RemoveFromVersionId."
        )
    if remove_from != holder:
        raise LabelError(f"The staging label {label} is not attached to the version {remove_from} specified in RemoveFromVersionId.")
    if move_to is None:
        return _taken_off(labels, label)
    return promote(labels, move_to) if label == CURRENT else dict(labels) | {label: move_to}


def _known(version: str | None, versions: Collection[str]) -> None:
    if version is not None and version not in versions:
        raise LabelError(f"Not a valid version: {version}")


def _taken_off(labels: Labels, label: str) -> dict[str, str]:
    if label == CURRENT:
        raise LabelError("You can't remove the staging label AWSCURRENT from a version without moving it to another version.")
    return {other: holder for other, holder in labels.items() if other != label}


def newly_attached(before: Labels, after: Labels) -> list[tuple[str, str]]:
    """The (label, version) pairs that came about between two states."""
    return [(label, version) for label, version in after.items() if before.get(label) != version]
