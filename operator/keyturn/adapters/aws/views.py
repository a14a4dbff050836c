"""AWS's answers boiled down: metadata to `SourceView`, a value to `CurrentValue`. Runs in the pool's threads, where the raw answer dies.

The three answers that carry metadata differ in one name only: DescribeSecret says VersionIdsToStages, ListSecrets SecretVersionsToStages.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyturn.domain.observed import SourceView
from keyturn.domain.values import SecretValue
from keyturn.domain.versions import Labels
from keyturn.engine.ports import CurrentValue

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import (
        DescribeSecretResponseTypeDef,
        GetSecretValueResponseTypeDef,
        SecretListEntryTypeDef,
        SecretValueEntryTypeDef,
    )


def described_view(answer: DescribeSecretResponseTypeDef) -> SourceView | None:
    """What DescribeSecret told; None for a secret without a current version."""
    view = _view(answer, answer.get("VersionIdsToStages") or {})
    return replace(view, fresh=True) if view else None


def listed_view(entry: SecretListEntryTypeDef) -> SourceView | None:
    """What a sweep told of one secret; None for one without a current version."""
    return _view(entry, entry.get("SecretVersionsToStages") or {})


def _view(answer: Mapping[str, Any], stages: Mapping[str, list[str]]) -> SourceView | None:
    labels = Labels.from_stages(stages)
    if labels is None:
        return None
    owner, function = answer.get("OwningService"), answer.get("RotationLambdaARN")
    return SourceView(
        name=answer["Name"],
        arn=answer["ARN"],
        labels=labels,
        created=answer["CreatedDate"],
        last_rotated=answer.get("LastRotatedDate"),
        last_changed=answer.get("LastChangedDate"),
        next_rotation=answer.get("NextRotationDate"),
        rotation_enabled=bool(answer.get("RotationEnabled", False)),
        rotation_lambda=sys.intern(function) if function else None,  # thousands of secrets share a function
        owning_service=sys.intern(owner) if owner else None,
        deleted=answer.get("DeletedDate") is not None,
    )


def current_value(answer: GetSecretValueResponseTypeDef | SecretValueEntryTypeDef) -> CurrentValue | None:
    """The value, wrapped; None where AWS sends none."""
    value: str | bytes | None = answer.get("SecretString")
    if value is None:
        value = answer.get("SecretBinary")
    if value is None:
        return None
    return CurrentValue(
        value=SecretValue(value),
        version_id=answer["VersionId"],
        created=answer["CreatedDate"],
        name=answer["Name"],
        arn=answer["ARN"],
    )
