"""Objects that the API server must refuse, with what the user reads, and the good ones next to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/orders/db-AbCd12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A spec that is refused: at this path, with these words."""

    kind: str
    spec: Spec
    path: str
    message: str
    before: Spec | None = None
    """What was stored, for rules about changes."""
    name: str = "orders-db"


def secret(**spec: Any) -> Spec:
    return {"secretId": "shop/orders/db"} | spec


def schedule(**spec: Any) -> Spec:
    return secret(rotation={"schedule": spec})


def target(**spec: Any) -> Spec:
    return secret(target=spec)


def workload(**rule: Any) -> Spec:
    return secret(rollout={"workloads": [{"kind": "Deployment", "name": "api"} | rule]})


def run(**spec: Any) -> Spec:
    return {"secretRef": {"name": "orders-db"}} | spec


def cluster(**spec: Any) -> Spec:
    return {"region": "eu-west-1"} | spec


def allow(**entry: Any) -> Spec:
    return cluster(allow=[{"namespaces": {"all": True}, "secrets": ["{namespace}/**"], "verbs": ["Mirror"]} | entry])


def connection(**spec: Any) -> Spec:
    return cluster(auth={"staticCredentials": {"secretRef": {"name": "keys"}}}) | spec


def _secrets(*cases: tuple[Spec, str, str]) -> list[Refused]:
    return [Refused(kind="RotatingSecret", spec=spec, path=path, message=message) for spec, path, message in cases]


_FULL_ARN = "must be the full ARN of a secret, with the hyphen and six characters at its end, not a part of it"
_NAME = "must be the name of a secret in AWS (letters, digits and /_+=.@!-, 512 at most) or its full ARN"
_SUFFIX = "must not end in a hyphen and six characters, which is how ARNs end: give the name without them, or the full ARN"
_METADATA_KEYS = "must have keys of letters, digits and ._-, 63 at most, after a domain and a slash if there is one"
_RESERVED = "must not have keys under kubernetes.io/, k8s.io/ or keyturn.dev/: these are not the user's to set"
_TEMPLATE_KEYS = "must have keys of letters, digits and ._-, 253 at most, other than . and without .. in front"
_AFTER = "must be set with onChange: Reloads (how long the application takes to read its files again), and only then"
_DATA_KEY = "should match '^[-._a-zA-Z0-9]+$'"
_DURATION = "should match '^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$'"
_RANGE = "must be between {} and 24h"

SOURCE = _secrets(
    ({}, "spec.secretId", "Required value"),
    (secret(secretId=""), "spec.secretId", "should be at least 1 chars long"),
    (secret(secretId="no spaces"), "spec.secretId", _NAME),
    (secret(secretId="rude:name"), "spec.secretId", _NAME),
    (secret(secretId="x" * 513), "spec.secretId", _NAME),
    (secret(secretId=ARN.removesuffix("-AbCd12")), "spec.secretId", _FULL_ARN),
    (secret(secretId=ARN.replace("123456789012", "12345")), "spec.secretId", _FULL_ARN),
    (secret(secretId=ARN.replace("secretsmanager", "ssm")), "spec.secretId", _FULL_ARN),
    (secret(secretId="arn:aws"), "spec.secretId", _FULL_ARN),
    (secret(secretId="shop/orders/db-AbCd12"), "spec.secretId", _SUFFIX),
    (secret(connectionRef={"kind": "GCPConnection"}), "spec.connectionRef.kind", "Unsupported value"),
    (secret(connectionRef={"name": "Not A Name"}), "spec.connectionRef.name", "should match"),
    (secret(suspend="Sometimes"), "spec.suspend", "Unsupported value"),
    (secret(historyLimit=0), "spec.historyLimit", "should be greater than or equal to 1"),
)

SCHEDULE = _secrets(
    (schedule(every="30d", cron="0 3 * * SUN"), "spec.rotation.schedule", "must have exactly one of every and cron"),
    (schedule(window="1h"), "spec.rotation.schedule", "must have exactly one of every and cron"),
    (schedule(every="30d", timeZone="Europe/Berlin"), "spec.rotation.schedule.timeZone", "must not be set without cron"),
    (schedule(cron="0 3 * * SUN", timeZone="Europe Berlin"), "spec.rotation.schedule.timeZone", "should match"),
    (schedule(every="1h"), "spec.rotation.schedule.every", "must be between 4h (AWS's own limit) and 1000d"),
    (schedule(every="24001h"), "spec.rotation.schedule.every", "must be between 4h (AWS's own limit) and 1000d"),
    (schedule(every="1001d"), "spec.rotation.schedule.every", "must be between 4h (AWS's own limit) and 1000d"),
    (schedule(every="0d"), "spec.rotation.schedule.every", "should match"),
    (schedule(every="90m"), "spec.rotation.schedule.every", "should match"),
    (schedule(every="30d", window="1d"), "spec.rotation.schedule.window", _DURATION),
    (schedule(every="30d", window="25h"), "spec.rotation.schedule.window", _RANGE.format("0s")),
    (secret(rotation={"timeout": "0s"}), "spec.rotation.timeout", _RANGE.format("1s")),
    (secret(rotation={"timeout": ""}), "spec.rotation.timeout", "should be at least 2 chars long"),
    (secret(rotation={"timeout": "15 minutes"}), "spec.rotation.timeout", _DURATION),
    (secret(rotation={"strategy": "Hope"}), "spec.rotation.strategy", "Unsupported value"),
)

TARGET = _secrets(
    (target(name="Upper"), "spec.target.name", "should match"),
    (target(type="kubernetes.io/service-account-token"), "spec.target.type", "Unsupported value"),
    (target(labels={"app.kubernetes.io/name": "x"}), "spec.target.labels", _RESERVED),
    (target(labels={"keyturn.dev/version": "x"}), "spec.target.labels", _RESERVED),
    (target(annotations={"kubernetes.io/service-account.name": "x"}), "spec.target.annotations", _RESERVED),
    (target(annotations={"node.k8s.io/x": "x"}), "spec.target.annotations", _RESERVED),
    (target(labels={"not a key": "x"}), "spec.target.labels", _METADATA_KEYS),
    (target(labels={"x" * 64: "x"}), "spec.target.labels", _METADATA_KEYS),
    (target(annotations={"a/b/c": "x"}), "spec.target.annotations", _METADATA_KEYS),
    (target(labels={"team": "not a value"}), "spec.target.labels.team", "should match"),
    (target(keys=[]), "spec.target.keys", "should have at least 1 items"),
    (target(keys=[{"from": "a", "to": "no spaces"}]), "spec.target.keys[0].to", _DATA_KEY),
    (target(keys=[{"from": "a", "to": ".."}]), "spec.target.keys[0].to", "must not be a dot or start with two dots"),
    (target(keys=[{"from": "a", "to": "x"}, {"from": "b", "to": "x"}]), "spec.target.keys[1]", "Duplicate value"),
    (target(keys=[{"from": "a", "to": "x"}], template={"x": "y"}), "spec.target.template", "must not name a key that keys has too"),
    (target(template={"no spaces": "y"}), "spec.target.template", _TEMPLATE_KEYS),
    (target(template={"..data": "y"}), "spec.target.template", _TEMPLATE_KEYS),
    (target(require=["a", "a"]), "spec.target.require[1]", "Duplicate value"),
    (
        target(conflict="Adopt", deletion="Delete"),
        "spec.target.deletion",
        "must not be Delete with conflict Adopt: a Secret that was there before stays",
    ),
)

ROLLOUT = _secrets(
    (workload(kind="Pod"), "spec.rollout.workloads[0].kind", "Unsupported value"),
    (workload(onChange="Reloads"), "spec.rollout.workloads[0].after", _AFTER),
    (workload(after="1m"), "spec.rollout.workloads[0].after", _AFTER),
    (workload(onChange="External", after="1m"), "spec.rollout.workloads[0].after", _AFTER),
    (workload(onChange="Reloads", after="25h"), "spec.rollout.workloads[0].after", _RANGE.format("0s")),
    (
        workload(kind="CronJob", onChange="Restart"),
        "spec.rollout.workloads[0].onChange",
        "must not be set for a CronJob: its next Job reads the new content",
    ),
    (workload(wave=-1), "spec.rollout.workloads[0].wave", "should be greater than or equal to 0"),
    (
        secret(rollout={"workloads": [{"kind": "Deployment", "name": "a"}, {"kind": "Deployment", "name": "a"}]}),
        "spec.rollout.workloads[1]",
        "Duplicate value",
    ),
    (secret(rollout={"timeout": "0s"}), "spec.rollout.timeout", _RANGE.format("1s")),
    (secret(rollout={"soak": "48h"}), "spec.rollout.soak", _RANGE.format("0s")),
)

_NEW_NAME = "a new name is a new Secret; create another RotatingSecret"
CHANGES = [
    Refused(kind=kind, before=before, spec=spec, path=path, message=message)
    for kind, before, spec, path, message in (
        (
            "RotatingSecret",
            secret(),
            secret(secretId="shop/other"),
            "spec.secretId",
            "must not be changed: another secret is another RotatingSecret",
        ),
        ("RotatingSecret", target(name="a"), target(name="b"), "spec.target.name", f"must not be changed: {_NEW_NAME}"),
        ("RotatingSecret", secret(), target(name="orders-db"), "spec.target.name", f"must not be added or removed: {_NEW_NAME}"),
        ("RotatingSecret", target(name="a"), secret(), "spec.target.name", f"must not be added or removed: {_NEW_NAME}"),
        (
            "RotatingSecret",
            secret(),
            target(type="kubernetes.io/tls"),
            "spec.target.type",
            "must not be changed: a Secret cannot change its type; create another RotatingSecret",
        ),
        ("RotationRun", run(), run(reason="laptop lost"), "spec", "must not be changed: a run is one change; create another RotationRun"),
    )
]

RUN = [
    Refused(kind="RotationRun", spec=spec, path=path, message=message)
    for spec, path, message in (
        ({}, "spec.secretRef", "Required value"),
        (run(action="Undo"), "spec.action", "Unsupported value"),
        (run(trigger="Observed"), "spec.versionId", "must be set with trigger Observed"),
        (
            run(versionId="v1"),
            "spec.versionId",
            "must not be set with trigger Manual or Schedule: the version is not known before AWS has made it",
        ),
        (run(trigger="Schedule"), "spec.slot", "must be set with trigger Schedule, and only then"),
        (run(slot="2026-11-21T12:00:00Z"), "spec.slot", "must be set with trigger Schedule, and only then"),
        (run(trigger="Schedule", slot="noon"), "spec.slot", "must be of type date-time"),
    )
]

_ONE_SELECTOR = "must have exactly one of names, matchLabels and all"
_PATTERN = "must have {namespace} as a whole segment between slashes, and no other braces"
CONNECTION = [
    Refused(kind="ClusterAWSConnection", spec=spec, path=path, message=message, name="refused")
    for spec, path, message in (
        ({}, "spec.region", "Required value"),
        (cluster(region="Frankfurt"), "spec.region", "should match"),
        (cluster(endpoint="vpce.example"), "spec.endpoint", "should match"),
        (cluster(endpoint="https://user:word@vpce.example"), "spec.endpoint", "should match"),
        (cluster(pollInterval="5s"), "spec.pollInterval", _RANGE.format("10s")),
        (cluster(maxRotations=0), "spec.maxRotations", "should be greater than or equal to 1"),
        (allow(namespaces={}), "spec.allow[0].namespaces", _ONE_SELECTOR),
        (allow(namespaces={"all": True, "names": ["a"]}), "spec.allow[0].namespaces", _ONE_SELECTOR),
        (allow(namespaces={"all": False}), "spec.allow[0].namespaces.all", "must be true if it is set"),
        (allow(secrets=["team-{namespace}/*"]), "spec.allow[0].secrets[0]", _PATTERN),
        (allow(secrets=["{name}/*"]), "spec.allow[0].secrets[0]", _PATTERN),
        (allow(secrets=[]), "spec.allow[0].secrets", "should have at least 1 items"),
        (allow(verbs=["Delete"]), "spec.allow[0].verbs[0]", "Unsupported value"),
        (allow(verbs=["Mirror", "Mirror"]), "spec.allow[0].verbs[1]", "Duplicate value"),
    )
] + [
    Refused(kind="AWSConnection", spec=spec, path=path, message=message, name="refused")
    for spec, path, message in (
        (cluster(), "spec.auth", "Required value"),
        (connection(pollInterval="9s"), "spec.pollInterval", _RANGE.format("10s")),
        (connection(auth={}), "spec.auth.staticCredentials", "Required value"),
    )
]

NAMES = [Refused(kind="RotatingSecret", spec=secret(), path="metadata.name", message="may not be more than 63 bytes", name="x" * 64)]

REFUSED = [*SOURCE, *SCHEDULE, *TARGET, *ROLLOUT, *CHANGES, *RUN, *CONNECTION, *NAMES]

ACCEPTED: list[tuple[str, Spec]] = [
    *(
        ("RotatingSecret", spec)
        for spec in (
            secret(),
            secret(secretId=ARN),
            secret(secretId=ARN.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1")),
            secret(secretId="shop/db-secret"),
            secret(secretId="rds!db-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
            secret(connectionRef={"kind": "AWSConnection", "name": "own"}, suspend="Rotations", historyLimit=1),
            schedule(every="4h"),
            schedule(every="24000h", window="0s"),
            schedule(every="1000d", window="24h"),
            schedule(cron="0 3 * * SUN", timeZone="America/Argentina/Buenos_Aires"),
            secret(rotation={"strategy": "AlternatingUsers", "timeout": "1h30m"}),
            target(name="other", type="kubernetes.io/basic-auth", labels={"team": "pay"}, annotations={"example.com/owner": "Any text."}),
            target(keys=[{"from": "password", "to": "DB_PASSWORD"}], template={"DATABASE_URL": "{{ host }}"}, require=["password"]),
            target(conflict="Adopt"),
            target(conflict="Adopt", deletion="Retain"),
            target(conflict="Refuse", deletion="Delete"),
            workload(wave=1),
            workload(onChange="Reloads", after="2m"),
            workload(kind="StatefulSet", onChange="External"),
            workload(kind="CronJob"),
            secret(rollout={"discovery": "None", "timeout": "20s", "soak": "1m"}),
        )
    ),
    *(
        ("RotationRun", spec)
        for spec in (
            run(),
            run(action="Rollout", reason="looked into", urgent=True),
            run(trigger="Schedule", slot="2026-11-21T12:00:00Z"),
            run(trigger="Observed", versionId="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
            run(trigger="Edited", action="Rollout"),
        )
    ),
    *(
        ("ClusterAWSConnection", spec)
        for spec in (
            cluster(),
            cluster(endpoint="http://127.0.0.1:5000", pollInterval="10s", maxRotations=1),
            allow(),
            allow(
                namespaces={"names": ["shop", "pay"]}, secrets=["prod/{namespace}/*", "shared/*", "{namespace}"], verbs=["Mirror", "Rotate"]
            ),
            allow(namespaces={"matchLabels": {"team": "pay"}}),
        )
    ),
    ("AWSConnection", connection()),
]
