"""`keyturn-rotators package postgres`: the rotators' own command line."""

import argparse
import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from keyturn_rotators.drivers import LAMBDA_PYTHON, MACHINES, DriverError, Target
from keyturn_rotators.engines.registry import BY_MODULE
from keyturn_rotators.package import HANDLER, architectures, build, code_sha256, contents_sha256, is_portable

ALL = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    options = _parser().parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        for engine in sorted(BY_MODULE) if options.engine == ALL else [options.engine]:
            _package(engine, options)
    except DriverError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _package(engine: str, options: argparse.Namespace) -> None:
    for target, name in _targets(engine, options.architecture, options.python_version):
        content = build(engine, target=target, ca_bundle=options.ca_bundle, add=options.add)
        path = options.output / name
        path.write_bytes(content)
        sys.stdout.write(
            f"{path}\n  handler {HANDLER}\n  sha256 {code_sha256(content)}\n  contents {contents_sha256(content)}\n  {len(content)} bytes\n"
        )


def _targets(engine: str, architecture: str | None, python: str) -> Iterator[tuple[Target, str]]:
    """One zip does for all where the driver has no C code; else there is one for each architecture."""
    if is_portable(engine):
        yield Target(), f"keyturn-rotator-{engine}.zip"
        return
    for one in [architecture] if architecture else architectures(engine):
        yield Target(architecture=one, python=python), f"keyturn-rotator-{engine}-{one}.zip"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keyturn-rotators", description="How credentials are replaced.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    package = commands.add_parser("package", help="build the zip of an engine's Lambda function; the same input gives the same bytes")
    package.add_argument("engine", choices=[*sorted(BY_MODULE), ALL], metavar="ENGINE", help=f"{', '.join(sorted(BY_MODULE))}, or {ALL}")
    package.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to write it (default: here)")
    package.add_argument("--architecture", choices=list(MACHINES), help="for a driver with C code (default: each that it is published for)")
    package.add_argument(
        "--python-version", type=_version, default=LAMBDA_PYTHON, metavar="X.Y", help=f"for a driver with C code (default: {LAMBDA_PYTHON})"
    )
    package.add_argument(
        "--ca-bundle",
        type=_certificates,
        metavar="FILE",
        help="certificate authorities (PEM) to trust instead of the system's, for example your own",
    )
    package.add_argument(
        "--add",
        type=_path,
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder to put into the zip besides, for an engine of your own (KEYTURN_ENGINE)",
    )
    return parser


def _path(text: str) -> Path:
    path = Path(text).absolute()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {text}")
    return path


def _certificates(text: str) -> Path:
    path = _path(text)
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise argparse.ArgumentTypeError(f"{text} holds no certificates (PEM)") from None
    return path


def _version(text: str) -> str:
    if not re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", text):
        raise argparse.ArgumentTypeError("a version of Python is 3.13, for example; the rotators need 3.11 or later")
    return text
