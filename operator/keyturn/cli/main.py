"""The commands, put together. Each is in a module of its own, imported when it is called."""

from __future__ import annotations

import asyncio
import sys

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyturn", prog_name="keyturn")
def main() -> None:
    """Rotate AWS secrets, and bring them to every pod that uses them."""


@main.command("run")
def run_operator() -> None:
    """Run the operator itself; settings come from KEYTURN_… variables."""
    from keyturn.app import run
    from keyturn.settings import Settings

    sys.exit(asyncio.run(run(Settings())))
