"""What IAM would say: policies held against calls that were recorded, since the lab's AWS lets everybody do everything.

Only what our policies use is known: Allow and Deny, actions and resources with wildcards, and four condition operators. Anything else is an
error, so that a policy cannot pass by being misread.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn_lab.aws import FunctionCall

KNOWN = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, with the condition keys that it brings."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of an identity policy."""

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]  # operator, key, values

    def matches(self, call: Call) -> bool:
        """Whether it speaks about the call."""
        return (
            any(_like(action.lower(), call.action.lower()) for action in self.actions)
            and any(_like(resource, call.resource) for resource in self.resources)
            and all(_holds(operator, call.context.get(key.lower()), values) for operator, key, values in self.conditions)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a policy says to a list of calls."""

    refused: tuple[Call, ...]
    unused: tuple[tuple[str, str], ...]  # (sid, action) that no call needed


def statements(policy: str | Mapping[str, Any]) -> list[Statement]:
    """A policy's statements. Raises ValueError for what this module does not know."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    found = document["Statement"]
    return [_statement(one) for one in (found if isinstance(found, list) else [found])]


def judge(policy: Iterable[Statement], calls: Iterable[Call]) -> Verdict:
    """Which calls would be refused, and which actions of which statements were never needed."""
    policy, refused, used = list(policy), list[Call](), set[tuple[str, str]]()
    for call in calls:
        matching = [one for one in policy if one.matches(call)]
        if any(not one.allows for one in matching) or not matching:
            refused.append(call)
            continue
        used |= {(one.sid, action) for one in matching for action in one.actions if _like(action.lower(), call.action.lower())}
    every = [(one.sid, action) for one in policy if one.allows for action in one.actions]
    return Verdict(refused=tuple(refused), unused=tuple(pair for pair in every if pair not in used))


def calls_of(recorded: Iterable[FunctionCall]) -> list[Call]:
    """What the lab recorded as IAM sees it, with the calls that Secrets Manager makes to KMS in the caller's name.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    """
    found = list[Call]()
    for one in recorded:
        rotated_by = {"secretsmanager:resource/allowrotationlambdaarn": one.rotation_lambda_arn}
        found.append(Call(action=one.action, resource=one.resource, context={key: arn for key, arn in rotated_by.items() if arn}))
        if one.kms_key_id:
            via = {"kms:viaservice": f"secretsmanager.{one.resource.split(':')[3]}.amazonaws.com"}
            found += [Call(action=action, resource=one.kms_key_id, context=via) for action in OF_THE_KEY.get(one.action, ())]
    return found


OF_THE_KEY = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt"),
}


def _statement(one: Mapping[str, Any]) -> Statement:
    if unknown := one.keys() - KNOWN:
        raise ValueError(f"a statement with {', '.join(sorted(unknown))} is not understood")
    return Statement(
        sid=one.get("Sid", ""),
        allows={"Allow": True, "Deny": False}[one["Effect"]],
        actions=_several(one["Action"]),
        resources=_several(one["Resource"]),
        conditions=tuple(
            (operator, key, _several(values)) for operator, tests in one.get("Condition", {}).items() for key, values in tests.items()
        ),
    )


def _holds(operator: str, seen: str | None, values: tuple[str, ...]) -> bool:
    """A key that the request does not bring fulfils no condition of these kinds."""
    match operator:
        case "StringEquals":
            return seen in values
        case "StringLike" | "ArnEquals" | "ArnLike":
            return seen is not None and any(_like(value, seen) for value in values)
        case _:
            raise ValueError(f"the condition {operator} is not understood")


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch("".join(parts), text) is not None
