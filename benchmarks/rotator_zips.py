"""`python -m benchmarks.rotator_zips`: how large each rotator's zip is, and how long its function takes to be imported on a cold start.

The files are unpacked anew and compiled at each import, as in a Lambda function, whose directory is read-only. boto3 is imported before the
clock starts: the runtime brings it. The handler is what every cold start imports, and what is ours: its limit has no exceptions. The engine
and its driver are imported by the first step; a driver that is over a limit by itself is named here, with the reason.

A new engine needs its line in the registry, and its row: `python -m benchmarks.rotator_zips ENGINE --write docs/rotators/lambda.md`.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keyturn_lab.aws.workers import runtime_directory
from keyturn_rotators.drivers import Target
from keyturn_rotators.engines.registry import BY_MODULE
from keyturn_rotators.package import architectures, build, is_portable

RUNS = 9
BEGIN, END = "<!-- rotator_zips -->", "<!-- /rotator_zips -->"
HEAD = (
    "| engine | zip for x86_64 | zip for arm64 | import of the handler | with the engine and its driver | over a limit, because |",
    "|---|---|---|---|---|---|",
)
LONGEST_MS = 150.0  # for the handler, and for it with the engine and its driver
LARGEST_MB = 10.0
# Drivers that are over a limit by themselves, by engine, and why.
LARGER = {
    "db2": "IBM's driver brings IBM's whole client",
}
SLOWER = {
    "activedirectory": "ldap3 imports the extensions of all directories, and a directory for tests",
    "ldap": "ldap3 imports the extensions of all directories, and a directory for tests",
    "mongodb": "pymongo imports both of its clients, the asynchronous one too",
    "oracle": "oracledb imports its pools, its compiled core and cryptography",
    "redshift": "redshift_connector imports all of its ways to sign in",
    "redshift_serverless": "redshift_connector imports all of its ways to sign in",
    "ssh": "paramiko imports cryptography with all of its algorithms",
}

IMPORT = """
import sys
sys.path[:0] = sys.argv[1:3]
import boto3, botocore.config, botocore.exceptions
from importlib import import_module
from time import perf_counter
start = perf_counter()
import_module("keyturn_rotators.lambda_handler")
handler = perf_counter()
import_module(sys.argv[3])
print((handler - start) * 1000, (perf_counter() - start) * 1000)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One engine. Sizes in MB by architecture; times in ms, the median of several processes."""

    engine: str
    sizes: dict[str, float]
    handler: float
    whole: float

    @property
    def larger(self) -> bool:
        """Over the limit of sizes, by the figure that is shown."""
        return round(max(self.sizes.values()), 1) >= LARGEST_MB

    @property
    def slower(self) -> bool:
        """Over the limit of time with the engine and its driver, by the figure that is shown."""
        return round(self.whole) > LONGEST_MS

    @property
    def met(self) -> bool:
        """Within all limits, but for those that the engine's driver is named to be over."""
        unnamed = (self.larger and self.engine not in LARGER) or (self.slower and self.engine not in SLOWER)
        return round(self.handler) <= LONGEST_MS and not unnamed

    @property
    def remark(self) -> str:
        """Why it is over a limit."""
        if not self.met:
            return "missed"
        named = [why[self.engine] for over, why in ((self.larger, LARGER), (self.slower, SLOWER)) if over]
        return "; ".join(named)

    def __str__(self) -> str:
        sizes = " | ".join(f"{self.sizes[one]:.1f} MB" if one in self.sizes else "not published" for one in ("x86_64", "arm64"))
        return f"| {self.engine} | {sizes} | {self.handler:.0f} ms | {self.whole:.0f} ms | {self.remark}".rstrip() + " |"


def measure(engine: str, *, runs: int = RUNS) -> Row:
    """Build and import one engine's zip."""
    for_here = build(engine, target=Target.here())
    sizes = {one: len(for_here if is_portable(engine) else build(engine, target=Target(architecture=one))) for one in architectures(engine)}
    with tempfile.TemporaryDirectory(prefix="keyturn-zip-") as directory:
        base = Path(directory)
        zipfile.ZipFile(io.BytesIO(for_here)).extractall(base / "code")
        command = [sys.executable, "-I", "-S", "-B", "-c", IMPORT, str(base / "code"), str(runtime_directory(base))]
        times = [_times([*command, f"keyturn_rotators.engines.{engine}"]) for _ in range(runs)]
    handler, whole = (statistics.median(column) for column in zip(*times, strict=True))
    return Row(engine=engine, sizes={one: size / 1e6 for one, size in sizes.items()}, handler=handler, whole=whole)


def _times(command: Sequence[str]) -> tuple[float, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    handler, whole = done.stdout.split()
    return float(handler), float(whole)


def table(rows: Iterable[str]) -> str:
    """As it is on the page, with these rows."""
    where = f"Last measured {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores {platform.machine()}"
    return "\n".join([f"{where}, median of {RUNS} processes.\n", *HEAD, *sorted(rows)])


def written(page: str, rows: Iterable[Row]) -> str:
    """The page with these rows in its table; those of engines that were not measured stay."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    merged = shown(old) | {row.engine: str(row) for row in rows}
    return f"{before}{BEGIN}\n{table(line for engine, line in merged.items() if engine in BY_MODULE)}\n{END}{after}"


def shown(text: str) -> dict[str, str]:
    """The rows of a table by their engines."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and line not in HEAD]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.rotator_zips", description=__doc__)
    parser.add_argument("engines", nargs="*", choices=[*BY_MODULE, []], help="which (default: all)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the rows into this page's table, too")
    options = parser.parse_args(arguments)
    rows = [measure(engine) for engine in options.engines or sorted(BY_MODULE)]
    print(table(str(row) for row in rows))
    if options.write:
        options.write.write_text(written(options.write.read_text(), rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
