"""Status out: at most one write a pass, and none if nothing has changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyturn.api import API_VERSION, ConnectionStatus, RotatingSecretStatus, RotationRunStatus
from keyturn.api.meta import ObjectMeta
from keyturn.domain.announce import Announcement
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.engine.keys import Key
from keyturn.engine.ports import Objects, Recorder
from keyturn.engine.world import World

_log = logging.getLogger(__name__)
Status = RotatingSecretStatus | RotationRunStatus | ConnectionStatus


def merge_patch(old: Any, new: Any) -> Any:
    """The JSON merge patch from one object to another: lists are replaced, what is gone is null. https://www.rfc-editor.org/rfc/rfc7386"""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif old[key] != value:
            patch[key] = merge_patch(old[key], value)
    return patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Writes statuses and events."""

    world: World
    objects: Objects
    recorder: Recorder

    async def status(self, key: Key, metadata: ObjectMeta, status: Status) -> bool:
        """Write the status if it differs from the stored one; False if the object is gone or another one by now.

        The write holds to the resourceVersion that is known (the status of a custom resource ignores metadata.uid): a stale leader, or a
        pass that an edit has overtaken, is a CONFLICT.
        """
        raw = self.world.objects.raw(key)
        if raw is None or raw["metadata"]["uid"] != metadata.uid:
            return False
        patch = merge_patch(raw.get("status") or {}, status.to_dict())
        if not patch:
            return True
        try:
            answer = await self.objects.patch_status(
                key.kind.value,
                key.namespace or None,
                key.name,
                uid=metadata.uid,
                patch=patch,
                resource_version=raw["metadata"]["resourceVersion"],
            )
        except OutsideError as error:
            if error.kind is not FailureKind.MISSING:
                raise
            self.world.objects.drop(key)
            return False
        self.world.objects.put(key.kind, answer)
        return True

    def announce(self, key: Key, metadata: ObjectMeta, announcements: Sequence[Announcement]) -> None:
        """Record events about an object."""
        regarding = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "namespace": key.namespace,
            "name": key.name,
            "uid": metadata.uid,
        }
        for one in announcements:
            self.recorder.record(regarding, warning=one.warning, reason=one.reason, message=one.message, action="Reconcile")
