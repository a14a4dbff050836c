"""`keyturn rotate`: a RotationRun, and if asked its whole course."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from keyturn.adapters.kube.client import KubeClient
from keyturn.api import API_VERSION, RotationRun, RotationRunStatus
from keyturn.cli import read
from keyturn.cli.session import NOT_READY, Place, output_option, placed, print_data
from keyturn.domain import conditions as cond

LOOK_EVERY = 0.5  # seconds


@click.command("rotate")
@click.argument("name")
@click.option("--reason", help="Why, for the record.")
@click.option("--urgent", is_flag=True, help="Take over from a run that has rotated already and still restarts workloads.")
@click.option("--rollout", is_flag=True, help="Rotate nothing: bring the current version to the workloads again.")
@click.option("--wait", is_flag=True, help="Wait until every pod runs on the new version, and show each step.")
@click.option("--timeout", "patience", type=click.FloatRange(min=1), default=1800, show_default=True, help="How many seconds to wait.")
@output_option
@placed
async def rotate(
    place: Place, name: str, reason: str | None, urgent: bool, rollout: bool, wait: bool, patience: float, output: str | None
) -> int:
    """Rotate the RotatingSecret NAME now, whatever its schedule says.

    Exit code 3 if --wait is given and the run fails, or is not over in time.
    """
    async with place.client() as (client, namespace):
        await read.secret(client, namespace, name)
        made = await _create(client, namespace, name, reason, urgent=urgent, rollout=rollout)
        if not wait:
            _print(made, output)
            return 0
        click.echo(f"RotationRun {made.metadata.name}", err=True)
        last = await _follow(client, made, time.monotonic() + patience)
    _print(last, output)
    return 0 if cond.holds(last.status.conditions, "Complete") else NOT_READY


def _print(run: RotationRun, output: str | None) -> None:
    if output:
        print_data(run.to_dict(), output)
        return
    seen = bool(run.status.conditions)
    click.echo(f"{run.metadata.name}: {read.standing(run)}" if seen else f"rotationrun.keyturn.dev/{run.metadata.name} created")


async def _create(client: KubeClient, namespace: str, name: str, reason: str | None, *, urgent: bool, rollout: bool) -> RotationRun:
    spec: dict[str, Any] = {"secretRef": {"name": name}}
    spec |= {"reason": reason} if reason else {}
    spec |= {"urgent": True} if urgent else {}
    spec |= {"action": "Rollout"} if rollout else {}
    body = {"apiVersion": API_VERSION, "kind": "RotationRun", "metadata": {"generateName": f"{name}-"}, "spec": spec}
    path = f"{read.API}/namespaces/{namespace}/rotationruns"
    return RotationRun.model_validate(await client.request("POST", path, body, subject=f"a RotationRun of {namespace}/{name}"))


async def _follow(client: KubeClient, run: RotationRun, deadline: float) -> RotationRun:
    """Until it is over or the time is; each change of a step is told on standard error."""
    path = f"{read.API}/namespaces/{run.metadata.namespace}/rotationruns/{run.metadata.name}"
    told = RotationRunStatus()
    while True:
        run = RotationRun.model_validate(await client.request("GET", path, subject=f"RotationRun {run.metadata.name}"))
        before = {step.name: (step.state, step.message) for step in told.steps}
        for step in run.status.steps:
            if before.get(step.name) != (step.state, step.message):
                click.echo(f"  {step.name.value}: {step.state.value}{f' ({step.message})' if step.message else ''}", err=True)
        told = run.status
        if told.completion_time is not None or time.monotonic() > deadline:
            return run
        await asyncio.sleep(LOOK_EVERY)
