"""The actions of Secrets Manager that read: values, descriptions, lists."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from . import labels as rules
from . import seams
from .context import Action, Call, Json, Lab
from .errors import AwsError, invalid_parameter, invalid_request, not_found, validation
from .store import Secret, Version
from .views import day, described, listed, stamp

SORT_FIELDS = {
    "created-date": "CreatedDate",
    "last-changed-date": "LastChangedDate",
    "last-accessed-date": "LastAccessedDate",
    "name": "Name",
}


def get_secret_value(lab: Lab, call: Call) -> Json:
    """One version's value; AWSCURRENT's if the call names none."""
    secret = lab.secret(call)
    labels = lab.labels_of(secret)
    version = _wanted(secret, labels, call.text("VersionId"), call.text("VersionStage"))
    return _value(lab, secret, labels, version)


def _wanted(secret: Secret, labels: rules.Labels, version_id: str | None, stage: str | None) -> Version:
    if version_id is None:
        stage = stage or rules.CURRENT
        found = secret.versions.get(labels.get(stage, ""))
        missing = f"staging label: {stage}"
    else:
        found = secret.versions.get(version_id)
        missing = f"VersionId: {version_id}"
        if found and stage and labels.get(stage) != version_id:
            raise invalid_request("You provided a VersionStage that is not associated to the provided VersionId.")
    if found is None or not found.has_value:
        raise not_found(f"Secrets Manager can't find the specified secret value for {missing}")
    return found


def _value(lab: Lab, secret: Secret, labels: rules.Labels, version: Version) -> Json:
    lab.check_key(secret)
    secret.accessed = version.accessed = lab.clock.now()
    answer: Json = {
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.version_id,
        "CreatedDate": stamp(version.created),
    }
    if stages := rules.stages_of(labels, version.version_id):
        answer["VersionStages"] = stages
    if version.string is not None:
        return answer | {"SecretString": version.string}
    return answer | {"SecretBinary": version.binary}


def batch_get_secret_value(lab: Lab, call: Call) -> Json:
    """AWSCURRENT of up to 20 secrets; what cannot be read is an entry in Errors, not a failure of the call."""
    ids, filters = call.params.get("SecretIdList"), call.params.get("Filters")
    if bool(ids) == bool(filters):
        raise invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
    if not filters and call.params.get("MaxResults") is not None:
        raise invalid_parameter("'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.")
    if ids:
        if len(ids) > 20:
            raise validation(
                f"1 validation error detected: Value '{ids}' at 'secretIdList' failed to satisfy constraint: "
                "Member must have length less than or equal to 20"
            )
        return _read_each(lab, call, ids)
    secrets = [secret.arn for secret in _matching(lab, call, filters or []) if not secret.deleted]
    page, token = _page(secrets, call.whole("MaxResults", 1, 20, 20), call.text("NextToken"))
    return _read_each(lab, call, page) | token


def _read_each(lab: Lab, call: Call, ids: Sequence[str]) -> Json:
    values, errors = [], []
    for secret_id in ids:
        one = Call(action="GetSecretValue", params={"SecretId": secret_id}, region=call.region, caller=call.caller)
        try:
            lab.refuse_denied(one, secret_id)
            values.append(get_secret_value(lab, one))
        except AwsError as error:
            errors.append({"SecretId": secret_id, "ErrorCode": error.code, "Message": error.message})
    return {"SecretValues": values, "Errors": errors}


def describe_secret(lab: Lab, call: Call) -> Json:
    """Works on a secret that is scheduled for deletion, too."""
    return described(lab.secret(call, alive=False))


def list_secrets(lab: Lab, call: Call) -> Json:
    """A page of descriptions; out of date while the lab's switch says so."""
    limit = call.whole("MaxResults", 1, 100, 100)
    deleted = bool(call.params.get("IncludePlannedDeletion"))
    matching = _matching(lab, call, call.params.get("Filters") or [])
    entries = [listed(secret) for secret in matching] if lab.stale_list is None else _as_it_was(lab, call)
    entries = [entry for entry in entries if deleted or "DeletedDate" not in entry]
    field = SORT_FIELDS.get(call.text("SortBy") or "created-date")
    if field is None:
        raise validation(
            "1 validation error detected: the value at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set"
        )
    entries.sort(key=lambda entry: entry.get(field, 0), reverse=call.text("SortOrder") == "desc")
    page, token = _page(entries, limit, call.text("NextToken"))
    return {"SecretList": page} | token


def _as_it_was(lab: Lab, call: Call) -> list[Json]:
    """The list of before, under the same filters; a filter sees the name and tags of then."""
    then = (lab.stale_list or {}).get((call.caller.account, call.region), [])
    filters = call.params.get("Filters") or []
    return [dict(entry) for entry in then if all(_passes(_Entry(entry), one) for one in filters)]


class _Entry:
    """A listed secret with the attributes that the filters look at."""

    def __init__(self, entry: Json) -> None:
        self.name: str = entry["Name"]
        self.description: str = entry.get("Description", "")
        self.tags: list[dict[str, str]] = entry.get("Tags", [])
        self.owning_service: str | None = entry.get("OwningService")


def remember_list(lab: Lab) -> dict[tuple[str, str], list[Json]]:
    """What ListSecrets would say now, for later."""
    then: dict[tuple[str, str], list[Json]] = {}
    for secret in lab.store:
        then.setdefault((secret.account, secret.region), []).append(listed(secret))
    return then


def list_secret_version_ids(lab: Lab, call: Call) -> Json:
    """The versions that have a value; those without labels only on request."""
    secret = lab.secret(call, alive=False)
    limit = call.whole("MaxResults", 1, 100, 100)
    labelled = set(secret.labels.values())
    shown = [
        _version(secret, version)
        for version in secret.versions.values()
        if version.has_value and (version.version_id in labelled or call.params.get("IncludeDeprecated"))
    ]
    page, token = _page(shown, limit, call.text("NextToken"))
    return {"ARN": secret.arn, "Name": secret.name, "Versions": page} | token


def _version(secret: Secret, version: Version) -> Json:
    entry: Json = {
        "VersionId": version.version_id,
        "CreatedDate": stamp(version.created),
        "KmsKeyIds": [version.kms_key_id or "DefaultEncryptionKey"],
    }
    if stages := rules.stages_of(secret.labels, version.version_id):
        entry["VersionStages"] = stages
    if version.accessed:
        entry["LastAccessedDate"] = day(version.accessed)
    return entry


def get_random_password(lab: Lab, call: Call) -> Json:
    """Moto's generator, with AWS's error texts."""
    length = call.whole("PasswordLength", 1, 4096, 32)
    each = bool(call.params.get("RequireEachIncludedType", True))
    if each and length < 4:
        raise invalid_parameter("Password length is too short based on the required types.")
    try:
        password = seams.random_password(
            length,
            exclude_characters=call.text("ExcludeCharacters") or "",
            exclude_numbers=bool(call.params.get("ExcludeNumbers")),
            exclude_punctuation=bool(call.params.get("ExcludePunctuation")),
            exclude_uppercase=bool(call.params.get("ExcludeUppercase")),
            exclude_lowercase=bool(call.params.get("ExcludeLowercase")),
            include_space=bool(call.params.get("IncludeSpace")),
            require_each_included_type=each,
        )
    except IndexError as error:
        raise invalid_parameter("The excluded characters leave nothing to choose from.") from error
    return {"RandomPassword": password}


def get_resource_policy(lab: Lab, call: Call) -> Json:
    """Absent if there is none."""
    secret = lab.secret(call)
    answer: Json = {"ARN": secret.arn, "Name": secret.name}
    return answer | ({"ResourcePolicy": secret.policy} if secret.policy else {})


def _matching(lab: Lab, call: Call, filters: Sequence[Json]) -> list[Secret]:
    for index, one in enumerate(filters, 1):
        if one.get("Key") not in seams.FILTERS:
            raise validation(
                f"1 validation error detected: Value '{one.get('Key')}' at 'filters.{index}.member.key' failed to satisfy constraint: "
                "Member must satisfy enum value set: [all, name, tag-key, description, tag-value]"
            )
        if not one.get("Values"):
            raise invalid_parameter(f"Invalid filter values for key: {one['Key']}")
    secrets = lab.store.within(account=call.caller.account, region=call.region)
    return [secret for secret in secrets if all(_passes(secret, one) for one in filters)]


def _passes(secret: Secret | _Entry, one: Json) -> bool:
    return bool(seams.FILTERS[one["Key"]](secret, one["Values"]))


def _page(items: Sequence[Any], limit: int, token: str | None) -> tuple[list[Any], Json]:
    start = _offset(token)
    more = start + limit < len(items)
    return list(items[start : start + limit]), {"NextToken": _opaque(start + limit)} if more else {}


def _opaque(offset: int) -> str:
    return base64.b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True).decode().removeprefix("offset:"))
    except (ValueError, binascii.Error) as error:
        raise AwsError("InvalidNextTokenException", "The NextToken value is invalid.") from error


ACTIONS: dict[str, Action] = {
    "GetSecretValue": get_secret_value,
    "BatchGetSecretValue": batch_get_secret_value,
    "DescribeSecret": describe_secret,
    "ListSecrets": list_secrets,
    "ListSecretVersionIds": list_secret_version_ids,
    "GetRandomPassword": get_random_password,
    "GetResourcePolicy": get_resource_policy,
}
