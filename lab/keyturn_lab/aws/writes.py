"""The actions of Secrets Manager that change a secret, its values and its labels (rotation apart)."""

import json
import uuid
from datetime import timedelta

from . import labels as rules
from .context import Action, Call, Json, Lab, checked_name, checked_token, new_arn
from .errors import AwsError, exists, invalid_parameter, invalid_request, not_found, validation
from .rotation import abandon, counts_as_rotation, wrote_pending
from .store import Secret, Version
from .views import stamp

VALUE_LIMIT = 65_536
LABEL_LIMIT = 20
TAG_LIMIT = 50


def create_secret(lab: Lab, call: Call) -> Json:
    """A new secret, with or without a first value."""
    name = checked_name(call.required("Name"))
    string, binary = _value(call)
    token = _token(call)
    taken = lab.store.find(name, account=call.caller.account, region=call.region)
    if taken:
        return _already_there(taken, token, string, binary)
    now = lab.clock.now()
    secret = Secret(
        name=name,
        arn=new_arn(name, account=call.caller.account, region=call.region),
        account=call.caller.account,
        region=call.region,
        created=now,
        changed=now,
        description=call.text("Description") or "",
        kms_key_id=call.text("KmsKeyId"),
        kind=call.text("Type"),
        tags=_tags(call.params.get("Tags") or []),
    )
    lab.store.add(secret)
    if string is None and binary is None:
        return _short(secret)
    secret.versions[token] = Version(version_id=token, created=now, string=string, binary=binary, kms_key_id=secret.kms_key_id)
    lab.relabel(secret, rules.put(secret.labels, token, [rules.CURRENT]))
    return _short(secret, VersionId=token)


def _already_there(secret: Secret, token: str, string: str | None, binary: str | None) -> Json:
    if secret.deleted:
        raise invalid_request("You can't create this secret because a secret with this name is already scheduled for deletion.")
    version = secret.versions.get(token)
    if version and version.holds(string, binary):
        return _short(secret, VersionId=token)
    if version:
        raise _token_taken(secret, token)
    raise exists(f"The operation failed because the secret {secret.name} already exists.")


def put_secret_value(lab: Lab, call: Call) -> Json:
    """A new version, or the value of the pending one; AWSCURRENT unless labels are given."""
    secret = lab.secret(call)
    string, binary = _value(call)
    if string is None and binary is None:
        raise invalid_request("You must provide either SecretString or SecretBinary.")
    token = _token(call)
    version = secret.versions.get(token)
    if version and version.has_value:
        if not version.holds(string, binary):
            raise _token_taken(secret, token)
        return _short(secret, VersionId=token, VersionStages=rules.stages_of(secret.labels, token))
    stages = list(call.params.get("VersionStages") or [rules.CURRENT])
    if secret.current is None and not any(known.has_value for known in secret.versions.values()):
        stages = list(dict.fromkeys([*stages, rules.CURRENT]))
    _store(lab, call, secret, Version(version_id=token, created=lab.clock.now(), string=string, binary=binary), stages)
    return _short(secret, VersionId=token, VersionStages=rules.stages_of(secret.labels, token))


def update_secret(lab: Lab, call: Call) -> Json:
    """Metadata, and a new current value if one is given; the token of an existing version is always an error."""
    secret = lab.secret(call)
    string, binary = _value(call)
    token = _token(call)
    if token in secret.versions:
        raise _token_taken(secret, token)
    if (description := call.text("Description")) is not None:
        secret.description = description
    if (kms_key_id := call.text("KmsKeyId")) is not None:
        secret.kms_key_id = kms_key_id or None
    secret.changed = lab.clock.now()
    if string is None and binary is None:
        return _short(secret)
    _store(lab, call, secret, Version(version_id=token, created=lab.clock.now(), string=string, binary=binary), [rules.CURRENT])
    return _short(secret, VersionId=token)


def _store(lab: Lab, call: Call, secret: Secret, version: Version, stages: list[str]) -> None:
    labels = rules.put(secret.labels, version.version_id, stages)
    if len(labels) > LABEL_LIMIT:
        raise AwsError("LimitExceededException", "You've exceeded the quota for the number of staging labels for this secret.")
    lab.check_key(secret)
    version.kms_key_id = secret.kms_key_id
    version.by_rotation = wrote_pending(secret, call)
    cut_short = rules.rotation_in_progress(secret.labels) and rules.PENDING not in labels
    abandoned = secret.labels.get(rules.PENDING)
    secret.versions[version.version_id] = version
    lab.relabel(secret, labels)
    if cut_short and abandoned:
        abandon(lab, secret, abandoned)
    if rules.CURRENT in stages:
        counts_as_rotation(lab, secret)
    secret.prune(lab.clock.now())


def update_secret_version_stage(lab: Lab, call: Call) -> Json:
    """Move a label, or take it off. A rotation that promotes its pending version loses AWSPENDING by the same call."""
    secret = lab.secret(call)
    label = call.required("VersionStage")
    target = call.text("MoveToVersionId")
    try:
        labels = rules.move(
            secret.labels, label, remove_from=call.text("RemoveFromVersionId"), move_to=target, versions=secret.versions.keys()
        )
    except rules.LabelError as error:
        raise invalid_parameter(str(error)) from error
    rotating = secret.active is not None and secret.active.version_id == target
    if label == rules.CURRENT and labels.get(rules.PENDING) == target and rotating and not lab.settings.keep_pending:
        labels.pop(rules.PENDING)
    lab.relabel(secret, labels)
    return _short(secret)


def delete_secret(lab: Lab, call: Call) -> Json:
    """At the end of a recovery window, or at once."""
    force = bool(call.params.get("ForceDeleteWithoutRecovery"))
    window = call.params.get("RecoveryWindowInDays")
    if window is not None and force:
        raise invalid_parameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
    if window is not None and not 7 <= int(window) <= 30:
        raise invalid_parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    try:
        secret = lab.secret(call, alive=False)
    except AwsError:
        if not force:
            raise
        return _never_there(lab, call)
    if secret.deleted and not force:
        raise invalid_request("You tried to perform the operation on a secret that's currently marked deleted.")
    now = lab.clock.now()
    secret.deleted = now if force else now + timedelta(days=int(window or 30))
    secret.active = None
    if force:
        lab.store.remove(secret)
    return _short(secret, DeletionDate=stamp(secret.deleted))


def _never_there(lab: Lab, call: Call) -> Json:
    name = call.required("SecretId")
    if name.startswith("arn:"):
        raise not_found()
    arn = new_arn(name, account=call.caller.account, region=call.region)
    return {"ARN": arn, "Name": name, "DeletionDate": stamp(lab.clock.now())}


def restore_secret(lab: Lab, call: Call) -> Json:
    """Take back a scheduled deletion."""
    secret = lab.secret(call, alive=False)
    secret.deleted = None
    return _short(secret)


def tag_resource(lab: Lab, call: Call) -> Json:
    """Add tags, replacing those of the same key."""
    secret = lab.secret(call)
    merged = {tag["Key"]: tag for tag in [*secret.tags, *(call.params.get("Tags") or [])]}
    secret.tags = _tags(list(merged.values()))
    secret.changed = lab.clock.now()
    return {}


def untag_resource(lab: Lab, call: Call) -> Json:
    """Remove tags by key."""
    secret = lab.secret(call)
    gone = set(call.params.get("TagKeys") or [])
    secret.tags = [tag for tag in secret.tags if tag["Key"] not in gone]
    secret.changed = lab.clock.now()
    return {}


def put_resource_policy(lab: Lab, call: Call) -> Json:
    """Kept and given back; not enforced."""
    secret = lab.secret(call)
    policy = call.required("ResourcePolicy")
    try:
        json.loads(policy)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocumentException", "This resource policy contains invalid Json.") from error
    secret.policy = policy
    return _short(secret)


def delete_resource_policy(lab: Lab, call: Call) -> Json:
    """Gone, if there was one."""
    secret = lab.secret(call)
    secret.policy = None
    return _short(secret)


def _short(secret: Secret, **more: object) -> Json:
    return {"ARN": secret.arn, "Name": secret.name, **more}


def _token(call: Call) -> str:
    token = call.text("ClientRequestToken")
    if token is None:
        raise invalid_request("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    return checked_token(token or str(uuid.uuid4()))


def _token_taken(secret: Secret, token: str) -> AwsError:
    return exists(f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {secret.arn}.")


def _value(call: Call) -> tuple[str | None, str | None]:
    string, binary = call.text("SecretString"), call.text("SecretBinary")
    if string is not None and binary is not None:
        raise invalid_parameter("You can't specify both a binary secret value and a string secret value in the same secret.")
    size = len((string or "").encode()) if string is not None else len(binary or "") * 3 // 4
    if size > VALUE_LIMIT:
        raise validation(
            "1 validation error detected: the secret value failed to satisfy constraint: Member must have length at most 65536"
        )
    if string == "" or binary == "":
        raise invalid_parameter("You must provide a secret value that is not empty.")
    return string, binary


def _tags(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(tags) > TAG_LIMIT:
        raise AwsError("LimitExceededException", "You've exceeded the quota for the number of tags for this secret.")
    return [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in tags]


ACTIONS: dict[str, Action] = {
    "CreateSecret": create_secret,
    "PutSecretValue": put_secret_value,
    "UpdateSecret": update_secret,
    "UpdateSecretVersionStage": update_secret_version_stage,
    "DeleteSecret": delete_secret,
    "RestoreSecret": restore_secret,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "PutResourcePolicy": put_resource_policy,
    "DeleteResourcePolicy": delete_resource_policy,
}
