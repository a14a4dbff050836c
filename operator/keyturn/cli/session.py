"""What all commands share: which cluster, which namespace, and how errors end."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import click
import yaml

from keyturn.adapters.kube.access import AccessError, context_namespace, load_access
from keyturn.adapters.kube.client import KubeClient
from keyturn.domain.failures import OutsideError

P = ParamSpec("P")
FAILED, NOT_READY = 1, 3  # exit codes; 2 is click's, for a wrong call


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works."""

    kubeconfig: Path | None
    context: str | None
    namespace: str | None
    everywhere: bool = False

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[KubeClient, str]]:
        """The API server, and the namespace: the one asked for, else the context's, else `default`."""
        access = await load_access(self.kubeconfig, context=self.context)
        async with KubeClient(access) as client:
            yield client, self.namespace or context_namespace(self.kubeconfig, self.context)


def placed(command: Callable[P, Coroutine[Any, Any, int]]) -> Callable[P, None]:
    """The options of every command that talks to a cluster; its result is the exit code, and a refusal is one line."""

    @click.option("-n", "--namespace", help="The namespace; by default that of the kubeconfig's context.")
    @click.option("--context", help="The kubeconfig's context.")
    @click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), help="The kubeconfig; by default as kubectl finds it.")
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        place = Place(
            kubeconfig=kwargs.pop("kubeconfig"),  # type: ignore[arg-type]  # click's values are untyped
            context=kwargs.pop("context"),  # type: ignore[arg-type]
            namespace=kwargs.pop("namespace"),  # type: ignore[arg-type]
            everywhere=bool(kwargs.pop("everywhere", False)),
        )
        try:
            code: int = asyncio.run(command(place, *args, **kwargs))  # type: ignore[arg-type]  # the place comes before click's arguments
        except (OutsideError, AccessError) as error:
            raise click.ClickException(str(error)) from None
        raise SystemExit(code)

    return run


def output_option(command: Callable[P, Any]) -> Callable[P, Any]:
    """`-o json|yaml`."""
    return click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Print data instead of text.")(command)


def print_data(data: Any, form: str) -> None:
    """The same data in either form, on standard output."""
    click.echo(json.dumps(data, indent=2) if form == "json" else yaml.safe_dump(data, sort_keys=False).rstrip())
