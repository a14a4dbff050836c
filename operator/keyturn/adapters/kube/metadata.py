"""What object metadata says: times, who manages which field, and a Secret's metadata as a view. Pure, and blind to data.

`managedFields` are the API server's own record of who wrote what and when.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from keyturn.domain.observed import TargetView
from keyturn.domain.targets import ADOPT_BY, EPOCH, LABEL_MANAGED, LAST_APPLIED, VERSION

Json = dict[str, Any]

PREFIX = "keyturn.dev/"
MANAGED_SELECTOR = f"{LABEL_MANAGED}=true"


def moment(text: str) -> datetime:
    """A time of the API: RFC 3339, always with its zone."""
    return datetime.fromisoformat(text)


def target_view(raw: Mapping[str, Any], *, ours: str, secret_type: str | None = None) -> TargetView:
    """A Secret's metadata, from the whole object or from PartialObjectMetadata (which lacks the type)."""
    meta = raw["metadata"]
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}
    return TargetView(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        type=raw.get("type", secret_type),
        version=annotations.get(VERSION),
        epoch=_integer(annotations.get(EPOCH)),
        adopt_by=annotations.get(ADOPT_BY),
        owner_uids=frozenset(owner["uid"] for owner in meta.get("ownerReferences") or ()),
        labels=dict(meta.get("labels") or {}),
        annotations=annotations,
        managers=tuple(sorted({entry["manager"] for entry in _content_entries(meta)} - {ours})),
    )


def managers_below(meta: Mapping[str, Any], *path: str) -> Iterator[str]:
    """The managers that own something at or below a field, the one that wrote last coming last."""
    entries = sorted(_entries(meta), key=_time)
    return (entry["manager"] for entry in entries if _at(entry, path) is not None)


def owned_keys(meta: Mapping[str, Any], manager: str, *path: str) -> frozenset[str]:
    """The keys of a map that this manager owns, and no other does."""
    keys: dict[bool, set[str]] = {True: set(), False: set()}
    for entry in _entries(meta):
        fields = _at(entry, path) or {}
        keys[entry.get("manager") == manager].update(name.removeprefix("f:") for name in fields if name.startswith("f:"))
    return frozenset(keys[True] - keys[False])


def write_time(meta: Mapping[str, Any], manager: str) -> datetime:
    """When this manager last changed a field, by the server's clock.

    Without an entry of its own, the last time that anybody did: it can only be later. A write that only removes fields moves no time.
    """
    times = {entry.get("manager"): moment(entry["time"]) for entry in sorted(_entries(meta), key=_time) if "time" in entry}
    return times.get(manager) or max(times.values(), default=moment(meta["creationTimestamp"]))


def foreign_time(meta: Mapping[str, Any], ours: str) -> datetime | None:
    """When anybody else last changed data that is still theirs; None where all of it is ours.

    Who only labels or annotates the Secret, consents to its adoption or makes it immutable changes nothing that a pod reads.
    """
    others = (entry for entry in _content_entries(meta) if entry.get("manager") != ours and "time" in entry)
    return max((moment(entry["time"]) for entry in others), default=None)


def _content_entries(meta: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Of those who own data. Who applies stringData owns that alone, though it is stored as data."""
    return (entry for entry in _entries(meta) if any(_at(entry, (field,)) is not None for field in ("f:data", "f:stringData")))


def _time(entry: Mapping[str, Any]) -> str:
    return str(entry.get("time", ""))


def _entries(meta: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Entries of the object itself, not of its status."""
    return (entry for entry in meta.get("managedFields") or () if not entry.get("subresource"))


def _at(entry: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    fields = entry.get("fieldsV1") or {}
    for name in path:
        if name not in fields:
            return None
        fields = fields[name]
    return fields if isinstance(fields, Mapping) else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None
