"""What decides about one RotationRun, as plain data, and what a look at it leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyturn.api import RotatingSecret, RotationRun, RotationRunStatus, Strategy
from keyturn.domain.actions import Action
from keyturn.domain.consumers import Consumer
from keyturn.domain.failures import FailureKind
from keyturn.domain.observed import Failure, Limits, PodView, RunView, SourceView
from keyturn.domain.permission import Decision

SOON = timedelta(seconds=1)
SLOWLY = timedelta(minutes=5)
SLOW = frozenset({FailureKind.INVALID, FailureKind.DENIED, FailureKind.FORBIDDEN, FailureKind.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRun:
    """Everything that decides about one run."""

    run: RotationRun
    parent: RotatingSecret | None
    permitted: Decision  # to do with the connection what this run is about
    source: SourceView | Failure | None = None
    pending_has_value: bool | None = None  # asked only when the rotation is past its time
    runs: Sequence[RunView] = ()  # all of the parent's, this one included
    consumers: Sequence[Consumer] = ()
    pods: Mapping[tuple[str, str], Sequence[PodView] | None] = field(default_factory=dict)
    touched: bool = False  # the Secret is not as this run has written it
    excluded: int = 0  # workloads that use the Secret and are left out by spec.rollout
    missing: Sequence[str] = ()  # workloads that spec.rollout names and that are not there
    reverted_by: Mapping[tuple[str, str], str] = field(default_factory=dict)  # who took the restart annotation of a workload away
    restart_budget: int = 0  # how many workloads may begin a restart now, in the whole cluster
    rotation_budget: int = 1  # how many rotations may begin now, on this connection
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What one look at a run leads to. `draft` is the status if no action had an outcome that says otherwise."""

    draft: RotationRunStatus
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None


def is_over(run: RotationRun) -> bool:
    """The run has an end, and is a record from now on."""
    return run.status.completion_time is not None


def strategy_of(parent: RotatingSecret) -> Strategy | None:
    """What the rotator does to the old credential, if anybody has said so."""
    return parent.spec.rotation.strategy if parent.spec.rotation else None
