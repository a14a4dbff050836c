"""A secret as DescribeSecret and ListSecrets show it."""

from datetime import UTC, datetime

from .context import Json
from .store import Secret


def stamp(moment: datetime) -> float:
    """A moment as JSON 1.1 carries it: seconds since 1970, with milliseconds."""
    return round(moment.timestamp(), 3)


def day(moment: datetime) -> float:
    """LastAccessedDate has the granularity of a day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def described(secret: Secret) -> Json:
    """DescribeSecret. What was never set is absent, not null."""
    seen = _common(secret)
    if stages := secret.stages:
        seen["VersionIdsToStages"] = stages
    return seen


def listed(secret: Secret) -> Json:
    """One entry of ListSecrets: the same, with the labels under another name."""
    seen = _common(secret)
    if stages := secret.stages:
        seen["SecretVersionsToStages"] = stages
    return seen


def _common(secret: Secret) -> Json:
    seen: Json = {
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": stamp(secret.created),
        "LastChangedDate": stamp(secret.changed),
    }
    optional = {
        "Description": secret.description,
        "KmsKeyId": secret.kms_key_id,
        "Type": secret.kind,
        "Tags": [dict(tag) for tag in secret.tags],
        "OwningService": secret.owning_service,
    }
    seen |= {name: value for name, value in optional.items() if value}
    dates = {"LastRotatedDate": secret.rotated, "DeletedDate": secret.deleted}
    seen |= {name: stamp(moment) for name, moment in dates.items() if moment}
    if secret.accessed:
        seen["LastAccessedDate"] = day(secret.accessed)
    return seen | _rotation(secret)


def _rotation(secret: Secret) -> Json:
    rotation = secret.rotation
    if rotation is None:
        return {}
    rules = dict(rotation.rules)
    if "ScheduleExpression" in rules and rotation.days is not None:
        rules["AutomaticallyAfterDays"] = rotation.days
    seen: Json = {"RotationEnabled": rotation.enabled, "RotationLambdaARN": rotation.lambda_arn}
    if rules:
        seen["RotationRules"] = rules
    if rotation.enabled and rotation.window:
        seen["NextRotationDate"] = stamp(rotation.window.latest)
    return seen
