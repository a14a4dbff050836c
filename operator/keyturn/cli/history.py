"""`keyturn history`: the rotations of a RotatingSecret, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from keyturn.api import RotationRun
from keyturn.cli import read
from keyturn.cli.session import Place, output_option, placed, print_data
from keyturn.cli.text import age, table
from keyturn.domain import conditions as cond
from keyturn.domain.run_seen import is_over

HEADER = ("RUN", "TRIGGER", "STEP", "ADOPTED", "FROM", "TO", "DURATION", "AGE", "REASON")


@click.command("history")
@click.argument("name")
@output_option
@placed
async def history(place: Place, name: str, output: str | None) -> int:
    """List the RotationRuns of the RotatingSecret NAME."""
    async with place.client() as (client, namespace):
        await read.secret(client, namespace, name)
        found = await read.runs(client, namespace, name)
    if output:
        print_data([run.to_dict() for run in found], output)
    elif found:
        click.echo(table(HEADER, [_row(run, datetime.now(UTC)) for run in found]))
        for run in _to_be_told(found):
            click.echo(f"\n{run.metadata.name}: {read.standing(run)}")
    else:
        click.echo(f"RotatingSecret {name} has no RotationRun yet", err=True)
    return 0


def _to_be_told(runs: Sequence[RotationRun]) -> list[RotationRun]:
    """Those that are not over, and the newest that is, if it failed: what somebody may have to mend."""
    newest = next((run for run in runs if is_over(run)), None)
    failed = newest is not None and cond.holds(newest.status.conditions, "Failed")
    return [run for run in runs if not is_over(run) or (failed and run is newest)]


def _row(run: RotationRun, now: datetime) -> tuple[str, ...]:
    summary = run.status.summary
    parts = (summary.step, summary.adopted, summary.from_, summary.to, summary.duration) if summary else (None,) * 5
    created = age(run.metadata.creation_timestamp, now)
    return (run.metadata.name, run.spec.trigger.value, *(part or "-" for part in parts), created, run.spec.reason or "-")
