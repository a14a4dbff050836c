"""The demo on a terminal: one screen that is drawn again at every look. Elsewhere: plain lines, one for each thing that happens."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from keyturn_lab.demo.snapshot import Pod, Snapshot, changes
from keyturn_lab.demo.stage import SECRET, SECRET_ID

LINES = 9
COLOURS = {"Succeeded": "green", "Running": "yellow", "Waiting": "yellow", "Failed": "red", "Skipped": "dim", "Unsupported": "dim"}


class View(Protocol):
    """Shows what happens."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def say(self, text: str) -> None:
        """Something that the demo itself does."""

    def show(self, snapshot: Snapshot) -> None:
        """What can be seen now."""


class Lines:
    """Plain lines."""

    def __init__(self) -> None:
        self._before = Snapshot()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to take down."""

    def say(self, text: str) -> None:
        """Something that the demo itself does."""
        print(f"{time.strftime('%H:%M:%S')}  demo       {text}", flush=True)

    def show(self, snapshot: Snapshot) -> None:
        """What has changed since the last look."""
        for line in changes(self._before, snapshot):
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
        self._before = snapshot


class Screen:
    """A live screen."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._before, self._log = Snapshot(), list[str]()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """Something that the demo itself does."""
        self._add(f"demo       {text}")
        self._draw(self._before)

    def show(self, snapshot: Snapshot) -> None:
        """What can be seen now."""
        for line in changes(self._before, snapshot):
            self._add(line)
        self._before = snapshot
        self._draw(snapshot)

    def _add(self, line: str) -> None:
        self._log = [*self._log, f"{time.strftime('%H:%M:%S')}  {line}"][-LINES:]

    def _draw(self, snapshot: Snapshot) -> None:
        self._live.update(screen(snapshot, self._log), refresh=True)


def screen(snapshot: Snapshot, log: list[str]) -> RenderableType:
    """The whole picture."""
    log_panel = Panel(Text("\n".join(log)), title="what happens", title_align="left", border_style="dim")
    if not snapshot.labels:
        return log_panel
    return Group(Columns([_chain(snapshot), _run(snapshot)], equal=True, expand=True), _pods(snapshot), log_panel)


def _chain(snapshot: Snapshot) -> Panel:
    table = Table.grid(padding=(0, 2))
    for label in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"):
        table.add_row(label, Text(snapshot.labels.get(label, "-"), style="bold" if label == "AWSCURRENT" else ""))
    same = snapshot.mirrored == snapshot.labels.get("AWSCURRENT")
    table.add_row(f"Secret {SECRET}", Text(snapshot.mirrored or "-", style="bold green" if same else "bold yellow"))
    failures = Text(f"{snapshot.failures} failed", style="green" if snapshot.failures == 0 else "bold red")
    table.add_row("logins", Text.assemble(f"{snapshot.successes} good, ", failures))
    return Panel(table, title=f"AWS {SECRET_ID}", title_align="left")


def _run(snapshot: Snapshot) -> Panel:
    table = Table.grid(padding=(0, 2))
    for name in ("Rotate", "Mirror", "Rollout", "Retire"):
        state, message = snapshot.steps.get(name, ("", ""))
        table.add_row(name, Text(state or "-", style=COLOURS.get(state, "dim")), Text(message, overflow="ellipsis", no_wrap=True))
    return Panel(table, title="RotationRun", title_align="left")


def _pods(snapshot: Snapshot) -> Panel:
    table = Table(box=None, expand=True, header_style="dim")
    for column in ("workload", "pod", "runs on", "ready", "logs in as", "good", "failed"):
        table.add_column(column, justify="right" if column in {"good", "failed"} else "left")
    for pod in snapshot.pods:
        table.add_row(*_row(snapshot, pod))
    return Panel(table, title="pods", title_align="left")


def _row(snapshot: Snapshot, pod: Pod) -> tuple[RenderableType, ...]:
    new = snapshot.on_version(pod)
    ready = "ending" if pod.terminating else "yes" if pod.ready else "no"
    return (
        pod.workload,
        Text(pod.name, style="dim" if pod.terminating else ""),
        Text(snapshot.mirrored if new else "the version before", style="green" if new else "yellow"),
        ready,
        pod.user,
        str(pod.successes),
        Text(str(pod.failures), style="red" if pod.failures else "dim"),
    )


def view() -> View:
    """A screen on a terminal, lines elsewhere."""
    console = Console()
    return Screen(console) if console.is_terminal and console.height >= 20 else Lines()
