"""`make bench`: measure everything, or what is named, and print the table. Exit code 1 if a limit is missed.

`python -m benchmarks failed-logins` has a table, and takes a time, of its own.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import failed_logins
from benchmarks.measures import MEASURES, Figure


def main() -> int:
    """The exit code."""
    if sys.argv[1:2] == ["failed-logins"]:
        return failed_logins.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], help="what to measure (default: everything)")
    names = parser.parse_args().names or list(MEASURES)
    figures: list[Figure] = []
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        figures += MEASURES[name]()
    print("| what | seen | limit | peers |\n|---|---|---|---|")
    for figure in figures:
        print(f"| {figure.what} | {figure.seen}{'' if figure.met else ' (missed)'} | {figure.limit} | {figure.peers} |")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
