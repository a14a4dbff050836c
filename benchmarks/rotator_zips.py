"""`python -m benchmarks.rotator_zips`: how large each rotator's zip is, and how long its function takes to be imported on a cold start.

The files are unpacked anew and compiled at each import, as in a Lambda function, whose directory is read-only. boto3 is imported before the
clock starts: the runtime brings it. The engine and its driver, which the first step imports, are counted in.
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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keyturn_lab.aws.workers import runtime_directory
from keyturn_rotators.drivers import Target
from keyturn_rotators.engines.registry import BY_MODULE
from keyturn_rotators.package import architectures, build, is_portable

RUNS = 9
BEGIN, END = "<!-- rotator_zips -->", "<!-- /rotator_zips -->"
LONGEST_MS = 150.0
LARGEST_MB = 10.0
LARGER = {"db2"}
"""IBM's driver brings IBM's whole client."""

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
    def met(self) -> bool:
        """Within both limits."""
        return self.whole <= LONGEST_MS and (self.engine in LARGER or max(self.sizes.values()) < LARGEST_MB)

    def __str__(self) -> str:
        sizes = " | ".join(f"{self.sizes[one]:.1f} MB" if one in self.sizes else "not published" for one in ("x86_64", "arm64"))
        return f"| {self.engine} | {sizes} | {self.handler:.0f} ms | {self.whole:.0f} ms{'' if self.met else ' (missed)'} |"


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


def table(rows: Sequence[Row]) -> str:
    """As it is on the page."""
    head = "| engine | zip for x86_64 | zip for arm64 | import of the handler | with the engine and its driver |\n|---|---|---|---|---|\n"
    where = f"Measured {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores {platform.machine()}"
    return f"{where}, median of {RUNS} processes.\n\n{head}" + "\n".join(str(row) for row in rows)


def written(page: str, new: str) -> str:
    """The page with another table between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.rotator_zips", description=__doc__)
    parser.add_argument("engines", nargs="*", choices=[*BY_MODULE, []], help="which (default: all)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, too")
    options = parser.parse_args(arguments)
    rows = [measure(engine) for engine in options.engines or sorted(BY_MODULE)]
    print(table(rows))
    if options.write:
        options.write.write_text(written(options.write.read_text(), table(rows)))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
