"""`keyturn status`: the chain from the AWS version to the pods, with the age of each link."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from keyturn.adapters.kube.client import KubeClient
from keyturn.api import RotatingSecret, RotationRun, rfc3339
from keyturn.cli import read
from keyturn.cli.session import NOT_READY, Place, output_option, placed, print_data
from keyturn.cli.text import age
from keyturn.domain import conditions as cond
from keyturn.domain.consumers import Consumer, Content, runs_on
from keyturn.domain.observed import Limits, PodView
from keyturn.domain.run_record import short

Json = dict[str, Any]


@click.command("status")
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of all namespaces.")
@output_option
@placed
async def status(place: Place, name: str | None, output: str | None) -> int:
    """Show how far a RotatingSecret's version has come: AWS, Secret, workloads, pods. Without NAME: all of the namespace.

    Exit code 3 if one of them is not ready.
    """
    async with place.client() as (client, namespace):
        if name:
            found = [await read.secret(client, namespace, name)]
        else:
            found = await read.secrets(client, () if place.everywhere else (namespace,))
        chains = [chain(secret, await read.consumers(client, secret), await _active(client, secret)) for secret in found]
    if output:
        print_data(chains, output)
    elif chains:
        click.echo("\n\n".join(drawn(one, datetime.now(UTC)) for one in chains))
    else:
        click.echo(f"no RotatingSecret in {'any namespace' if place.everywhere else f'namespace {namespace}'}", err=True)
    return 0 if all(one["ready"]["status"] == "True" for one in chains) else NOT_READY


async def _active(client: KubeClient, secret: RotatingSecret) -> RotationRun | None:
    name = secret.status.active_run
    return await read.run(client, secret.metadata.namespace, name) if name else None


def chain(secret: RotatingSecret, consumers: Sequence[tuple[Consumer, Sequence[PodView]]], active: RotationRun | None) -> Json:
    """The chain as data: versions, times and counts, never a value."""
    seen, ready = secret.status, cond.find(secret.status.conditions, cond.READY)
    source, mirror, times = seen.source, seen.mirror, seen.rotation
    content = Content(version=mirror.version_id, epoch=mirror.epoch, since=mirror.time, created_by_us=mirror.epoch == 1) if mirror else None
    since = seen.adoption.since if seen.adoption else None
    limits = Limits(margin=since - mirror.time) if since and mirror else Limits()  # the operator's own margin
    return {
        "namespace": secret.metadata.namespace,
        "name": secret.metadata.name,
        "ready": {
            "status": ready.status.value if ready else "Unknown",
            "reason": ready.reason if ready else "NotSeen",
            "message": ready.message if ready else "the operator has not looked at it yet",
        },
        "aws": {
            "secretId": secret.spec.secret_id,
            "versionId": source.version_id if source else None,
            "versionTime": _time(source.version_time if source else None),
            "lastRotationTime": _time(times.last_time if times else None),
            "nextRotationTime": _time(times.next_time if times else None),
        },
        "secret": {
            "name": mirror.secret_name if mirror else secret.target_name,
            "versionId": mirror.version_id if mirror else None,
            "epoch": mirror.epoch if mirror else None,
            "time": _time(mirror.time if mirror else None),
        },
        "workloads": [_workload(consumer, pods, content, limits) for consumer, pods in consumers],
        "activeRun": seen.active_run,
        "activeRunStanding": read.standing(active) if active else None,
    }


def _workload(consumer: Consumer, pods: Sequence[PodView], content: Content | None, limits: Limits) -> Json:
    living = [pod for pod in pods if not pod.ended]
    shown = [
        {
            "name": pod.name,
            "created": rfc3339(pod.created),
            "onVersion": content is not None and runs_on(pod, content, consumer, limits, now=datetime.now(UTC)),
            "ready": pod.ready,
        }
        for pod in living
    ]
    return {
        "kind": consumer.workload.kind.value,
        "name": consumer.workload.name,
        "wave": consumer.wave,
        "treatment": consumer.treatment.value,
        "pods": shown,
        "podsOnVersion": sum(bool(pod["onVersion"]) for pod in shown),
    }


def _time(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None


def drawn(data: Json, now: datetime) -> str:
    """The chain as text."""
    ready, aws, secret = data["ready"], data["aws"], data["secret"]
    head = f"{data['name']} (namespace {data['namespace']}): {'Ready' if ready['status'] == 'True' else ready['reason']}"
    lines = [head, f"  {ready['message']}"]
    if data["activeRun"]:
        lines.append(f"  RotationRun {data['activeRun']} is active: {data['activeRunStanding'] or 'it is over by now'}")
    rotated = f", rotated {_ago(aws['lastRotationTime'], now)}" if aws["lastRotationTime"] else ""
    following = f", next rotation {aws['nextRotationTime']}" if aws["nextRotationTime"] else ""
    lines.append(
        f"  AWS {aws['secretId']}: version {short(aws['versionId']) or '-'}, made {_ago(aws['versionTime'], now)}{rotated}{following}"
    )
    lines.append(f"  └─ Secret {secret['name']}: version {short(secret['versionId']) or '-'}, held {_ago(secret['time'], now, suffix='')}")
    for workload in data["workloads"]:
        count = f"{workload['podsOnVersion']} of {len(workload['pods'])} pods on it"
        lines.append(f"     └─ {workload['kind']} {workload['name']} (wave {workload['wave']}): {count}")
        for pod in workload["pods"]:
            on = "on it" if pod["onVersion"] else "OLDER"
            lines.append(f"        └─ {pod['name']}: {on}, {'ready' if pod['ready'] else 'NOT READY'}, started {_ago(pod['created'], now)}")
    if not data["workloads"]:
        lines.append("     no workload of the namespace refers to it")
    return "\n".join(lines)


def _ago(moment: str | None, now: datetime, *, suffix: str = " ago") -> str:
    return f"{age(datetime.fromisoformat(moment), now)}{suffix}" if moment else "-"
