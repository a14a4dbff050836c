"""`python -m benchmarks failed-logins [ENGINE...]`: how many logins fail while a credential is rotated again and again.

Eight pods log in anew for each use, as fast as they can, and eight keep a connection, through 20 rotations by the operator with a margin of
1 s and no soak. AlternatingUsers and Overlap promise that none fails. With SingleUser the old password is dead before the new one can be
anywhere: what is seen is what that costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.login_cases import CASES, Case
from benchmarks.login_lab import FRESH, POOLED, LoginLab, Tenant, login_lab
from keyturn_lab.apps.scoreboard import Score

ROTATIONS = 20


@dataclass(frozen=True, kw_only=True)
class Count:
    """What all pods of one Deployment counted together."""

    pods: int
    good: int
    failed: int
    longest_gap: float  # seconds
    kinds: str = ""

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Count:
        kinds = sorted({score["last_error_kind"] for score in scores} - {None}, key=str)
        return cls(
            pods=len(scores),
            good=sum(score["successes"] for score in scores),
            failed=sum(score["failures"] for score in scores),
            longest_gap=max((score["longest_gap"] for score in scores), default=0.0),
            kinds=", ".join(str(kind) for kind in kinds),
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One engine and strategy."""

    case: Case
    rotations: Sequence[float]  # seconds
    fresh: Count
    pooled: Count

    @property
    def met(self) -> bool:
        return not self.case.promises_zero or self.fresh.failed == self.pooled.failed == 0

    def __str__(self) -> str:
        fresh, pooled = self.fresh, self.pooled
        kinds = "; ".join(dict.fromkeys(kinds for kinds in (fresh.kinds, pooled.kinds) if kinds))
        cells = [
            f"{self.case.engine} {self.case.strategy}",
            f"{len(self.rotations)}, {sum(self.rotations) / len(self.rotations):.1f} s each",
            f"{fresh.good + fresh.failed:,}",
            f"{fresh.failed:,}{'' if self.met else ' (missed)'}",
            f"{fresh.longest_gap:.1f} s" if fresh.failed else "none",
            f"{pooled.good + pooled.failed:,}",
            f"{pooled.failed:,}",
            f"{pooled.longest_gap:.1f} s" if pooled.failed else "none",
            kinds,
        ]
        return f"| {' | '.join(cells)} |"


HEAD = """| engine and strategy | rotations | logins | failed | longest gap | uses of a pool | failed | longest gap | failures are of |
|---|---|---|---|---|---|---|---|---|"""


def measure(lab: LoginLab, case: Case, rotations: int) -> Row:
    """One case, from its back end to the last count of its pods."""
    with lab.tenant(case) as tenant:
        took = [_rotated(tenant, number) for number in range(1, rotations + 1)]
        tenant.tear_down()  # each pod's last report comes with its end
        counts = {name: Count.of(scores) for name, scores in tenant.scores().items()}
    for name, count in counts.items():
        if count.pods != lab.pods * (rotations + 1):
            raise RuntimeError(f"{case.name}: {count.pods} pods of {name} have reported, not {lab.pods} at first and after each rotation")
    return Row(case=case, rotations=took, fresh=counts[FRESH], pooled=counts[POOLED])


def _rotated(tenant: Tenant, number: int) -> float:
    took = tenant.rotate()
    failed = sum(score["failures"] for scores in tenant.scores().values() for score in scores)
    print(f"{tenant.case.name}: rotation {number} took {took:.1f} s; {failed} failed so far", file=sys.stderr, flush=True)
    return took


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if a login failed where none may."""
    engines = list(dict.fromkeys(case.engine for case in CASES))
    parser = argparse.ArgumentParser(prog="benchmarks failed-logins", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"{', '.join(engines)} (default: all)")
    parser.add_argument("--strategy", help="only this one")
    parser.add_argument("--rotations", type=int, default=ROTATIONS, help="of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    if unknown := set(options.engines) - set(engines):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}")
    cases = [case for case in CASES if case.engine in (options.engines or engines) and options.strategy in (None, case.strategy)]
    rows = []
    with login_lab() as lab:
        for case in cases:
            rows.append(measure(lab, case, options.rotations))
            print(rows[-1], file=sys.stderr, flush=True)
    print(HEAD, *rows, sep="\n")
    return 0 if all(row.met for row in rows) else 1
