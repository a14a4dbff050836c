"""`keyturn-rotators package postgres`: the rotators' own command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from keyturn_rotators.package import ENGINES, HANDLER, build, code_sha256


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    options = _parser().parse_args(arguments)
    content = build(options.engine, ca_bundle=options.ca_bundle)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"keyturn-rotator-{options.engine}.zip"
    path.write_bytes(content)
    sys.stdout.write(f"{path}\nhandler {HANDLER}\nsha256 {code_sha256(content)}\n{len(content)} bytes\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keyturn-rotators", description="How credentials are replaced.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    package = commands.add_parser("package", help="build the zip of an engine's Lambda function; the same input gives the same bytes")
    package.add_argument("engine", choices=sorted(ENGINES))
    package.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to write it (default: here)")
    package.add_argument(
        "--ca-bundle",
        type=Path,
        metavar="FILE",
        help="certificate authorities (PEM) to trust instead of the system's, for example Amazon RDS's",
    )
    return parser
