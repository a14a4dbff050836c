"""May this object use this connection for this secret?

A tenant who can create RotatingSecrets must not gain anything by it: this is asked before any call to AWS, and once more with the
name and the ARN that the first answer carries, because AWS also resolves names that are not what they seem (partial ARNs).
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from keyturn.api import Allow, ConnectionKind, NamespaceSelector, Verb
from keyturn.domain.patterns import matches

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html; the `!` is in the names that AWS's services give.
_NAME = r"[A-Za-z0-9/_+=.@!-]{1,512}"
_NAME_ONLY: Final = re.compile(_NAME)
_FULL_ARN: Final = re.compile(
    rf"arn:(?P<partition>aws(?:-[a-z]+)*):secretsmanager:(?P<region>[a-z]+(?:-[a-z]+)+-\d+):(?P<account>\d{{12}})"
    rf":secret:(?P<name>{_NAME})-[A-Za-z0-9]{{6}}"
)
_SHOWN: Final = 5  # patterns in a message
_PARTITIONS: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)


class InvalidSecretIdError(ValueError):
    """A secretId that is neither a name nor a full ARN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretId:
    """What a secretId says: a name, or a full ARN taken apart."""

    name: str
    arn: str | None = None
    account: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Yes, or no with a condition's reason and one sentence for it."""

    allowed: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What a tenant may do to one secret."""

    mirror: Decision
    rotate: Decision

    def to(self, verb: Verb) -> Decision:
        """Whether it may do that."""
        return self.mirror if verb is Verb.MIRROR else self.rotate


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What permission needs to know of an AWSConnection or a ClusterAWSConnection."""

    kind: ConnectionKind
    name: str
    region: str
    namespace: str | None = None  # of an AWSConnection
    account: str | None = None  # once sts has told it
    allow: Sequence[Allow] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The namespace in whose name a secret is asked for."""

    namespace: str
    labels: Mapping[str, str]


YES: Final = Decision(allowed=True)


def parse_secret_id(text: str) -> SecretId:
    """Take a name or a full ARN apart.

    :raises InvalidSecretIdError: for a partial ARN (AWS would guess the secret), an ARN of something else, a name with other characters.
    """
    if not text.startswith("arn:"):
        if not _NAME_ONLY.fullmatch(text):
            raise InvalidSecretIdError(
                "spec.secretId is not the name of a secret: 1 to 512 ASCII letters, digits and /_+=.@!- are allowed."
            )
        return SecretId(name=text)
    found = _FULL_ARN.fullmatch(text)
    if found is None:
        raise InvalidSecretIdError(
            "spec.secretId is not a full ARN of a secret: give the name alone, or all of"
            " arn:<partition>:secretsmanager:<region>:<account>:secret:<name>-<6 characters>."
        )
    if found["partition"] != _partition(found["region"]):
        raise InvalidSecretIdError(
            f"spec.secretId names partition {found['partition']}, but region {found['region']} is in {_partition(found['region'])}."
        )
    return SecretId(name=found["name"], arn=text, account=found["account"], region=found["region"])


def permissions(*, secret_id: str, tenant: Tenant, connection: Connection) -> Permissions:
    """Decide, before AWS is asked anything, what `tenant` may do to the secret through the connection.

    For all verbs at once: which rules are about the secret takes the time, and is the same for each.
    """
    try:
        wanted = parse_secret_id(secret_id)
    except InvalidSecretIdError as error:
        return _whatever(Decision(allowed=False, reason="InvalidSpec", message=str(error)))
    elsewhere = _outside(wanted, connection)
    if elsewhere:
        return _whatever(_refusal(f'Secret "{wanted.name}" {elsewhere}'))
    if connection.kind is ConnectionKind.AWS_CONNECTION:
        return _whatever(_own_connection(tenant, connection))
    return _by_rules(wanted.name, tenant, connection)


def _whatever(decision: Decision) -> Permissions:
    """The same for all verbs."""
    return Permissions(mirror=decision, rotate=decision)


def canonical_name_matches(requested: SecretId, *, answered_name: str, answered_arn: str, connection: Connection) -> Decision:
    """Match the name and the ARN of AWS's first answer against what was permitted, before anything is done with the answer."""
    if answered_name != requested.name:
        return _refusal(
            f'spec.secretId was permitted as "{requested.name}", but AWS answered with the secret "{answered_name}";'
            " give that name, or its full ARN."
        )
    if requested.arn is not None and requested.arn != answered_arn:
        return _refusal(
            f'Secret "{requested.name}" was asked for by an ARN that is no longer its own (deleted and made anew?); AWS has {answered_arn}.'
        )
    try:
        canonical = parse_secret_id(answered_arn)
    except InvalidSecretIdError:
        canonical = SecretId(name=answered_arn)
    if canonical.arn is None or canonical.name != answered_name:
        return _refusal(f'AWS answered for secret "{requested.name}" with {answered_arn}, which is not a full ARN of that name.')
    elsewhere = _outside(canonical, connection)
    return _refusal(f'Secret "{requested.name}" {elsewhere}') if elsewhere else YES


def _partition(region: str) -> str:
    return next((partition for prefix, partition in _PARTITIONS if region.startswith(prefix)), "aws")


def _refusal(message: str) -> Decision:
    return Decision(allowed=False, reason="NotAllowed", message=message)


def _outside(secret: SecretId, connection: Connection) -> str | None:
    """How an ARN leads out of the connection's region or account."""
    if secret.region is not None and secret.region != connection.region:
        return f"is in region {secret.region}, but {connection} reaches {connection.region}; use a connection for that region."
    if secret.account is not None and connection.account is not None and secret.account != connection.account:
        return f"is of account {secret.account}, but {connection} is of {connection.account}; use a connection for that account."
    return None


def _own_connection(tenant: Tenant, connection: Connection) -> Decision:
    """An AWSConnection has its namespace's own credentials: what those may do is AWS's to decide."""
    if connection.namespace == tenant.namespace:
        return YES
    return _refusal(f"{connection} serves its own namespace only, not {tenant.namespace}; make an AWSConnection there.")


def _by_rules(name: str, tenant: Tenant, connection: Connection) -> Permissions:
    here = [rule for rule in connection.allow if _selects(rule.namespaces, tenant)]
    if not here:
        return _whatever(_refusal(f"{connection} has no rule in spec.allow for namespace {tenant.namespace}; have one added for it."))
    named = [rule for rule in here if any(matches(pattern, name, namespace=tenant.namespace) for pattern in rule.secrets)]
    if not named:
        patterns = _listed({f'"{pattern}"' for rule in here for pattern in rule.secrets})
        return _whatever(
            _refusal(
                f'{connection} does not allow namespace {tenant.namespace} the secret "{name}"; its patterns for that namespace are'
                f" {patterns}: have one added, or use a secret that they cover."
            )
        )
    verbs = {verb for rule in named for verb in rule.verbs}
    return Permissions(
        mirror=_verb(Verb.MIRROR, verbs, name, tenant, connection), rotate=_verb(Verb.ROTATE, verbs, name, tenant, connection)
    )


def _verb(verb: Verb, allowed: Set[Verb], name: str, tenant: Tenant, connection: Connection) -> Decision:
    if verb in allowed:
        return YES
    verbs = ", ".join(sorted(one.value for one in allowed))
    return _refusal(
        f'{connection} allows namespace {tenant.namespace} only {verbs} on the secret "{name}", not {verb.value};'
        " have the verb added to the rule."
    )


def _listed(patterns: set[str]) -> str:
    """At most a handful: a rule may have fifty."""
    first = sorted(patterns)[:_SHOWN]
    more = len(patterns) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _selects(selector: NamespaceSelector, tenant: Tenant) -> bool:
    """Whatever the selector gives must hold; a selector that gives nothing selects nobody."""
    wanted = selector.match_labels or {}
    given = [
        True if selector.all else None,
        None if selector.names is None else tenant.namespace in selector.names,
        all(tenant.labels.get(key) == value for key, value in wanted.items()) if wanted else None,
    ]
    verdicts = [verdict for verdict in given if verdict is not None]
    return bool(verdicts) and all(verdicts)
