"""The commands, put together. Each is in a module of its own."""

from __future__ import annotations

import asyncio
import sys

import click

from keyturn.cli.crds import crds
from keyturn.cli.history import history
from keyturn.cli.rotate import rotate
from keyturn.cli.status import status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyturn", prog_name="keyturn")
def commands() -> None:
    """Rotate AWS secrets, and bring them to every pod that uses them."""


@commands.command("run")
def run_operator() -> None:
    """Run the operator itself; settings come from KEYTURN_… variables."""
    from keyturn.app import run
    from keyturn.settings import Settings

    sys.exit(asyncio.run(run(Settings())))


for command in (status, rotate, history, crds):
    commands.add_command(command)


def main() -> None:
    """The `keyturn` command; as a plugin it calls itself what the user has typed."""
    plugin = sys.argv[0].rsplit("/", 1)[-1].startswith("kubectl-")
    commands(prog_name="kubectl keyturn" if plugin else "keyturn")
