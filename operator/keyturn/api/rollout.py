"""How the workloads come to use a new version: which they are, in which order, and how each one takes it up."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .meta import CEL, Duration, Extra, ListMap, Model, ObjectName, Reason


class Discovery(StrEnum):
    """How the workloads that use the Secret are found."""

    REFERENCES = "References"
    NONE = "None"


class WorkloadKind(StrEnum):
    """The kinds of consumers that Keyturn knows."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    ROLLOUT = "Rollout"
    CRON_JOB = "CronJob"
    JOB = "Job"
    POD = "Pod"


class OnChange(StrEnum):
    """How a workload comes to use the new content."""

    RESTART = "Restart"
    RELOADS = "Reloads"
    EXTERNAL = "External"


RuleKind = Literal[WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET, WorkloadKind.ROLLOUT, WorkloadKind.CRON_JOB]


class WorkloadRule(Model):
    """Order, or an exception, for one workload."""

    rules: ClassVar = (
        CEL(
            "has(self.after) == (has(self.onChange) && self.onChange == 'Reloads')",
            "must be set with onChange: Reloads (how long the application takes to read its files again), and only then",
            Reason.REQUIRED,
            ".after",
        ),
        CEL(
            "self.kind != 'CronJob' || !has(self.onChange)",
            "must not be set for a CronJob: its next Job reads the new content",
            Reason.FORBIDDEN,
            ".onChange",
        ),
    )

    kind: RuleKind
    """The workload's kind."""

    name: ObjectName
    """The workload's name."""

    wave: Annotated[int, Field(ge=0, le=1000), Extra((("format", "int32"),))] = 0
    """Its place in the order: a wave starts when the one before it is ready and has soaked."""

    # Not `on` on the wire: YAML 1.1, and with it kubectl, reads that key as the boolean true.
    on: Annotated[OnChange | None, Field(alias="onChange")] = None
    """How it comes to use the new content: Restart (Keyturn restarts it), Reloads (it reads its mounted files again by itself,
    see after), External (somebody else restarts it). Absent: what is usual for its kind."""

    after: Annotated[str, Duration("0s", "24h")] | None = None
    """With Reloads: how long after the Secret is written the application surely uses it, for example 2m."""


class Rollout(Model):
    """How the workloads come to use a new version."""

    discovery: Discovery = Discovery.REFERENCES
    """References: every workload of the namespace whose pod template names the Secret. None: only those listed in workloads."""

    workloads: Annotated[list[WorkloadRule], Field(max_length=100), ListMap("kind", "name")] = Field(default_factory=list)
    """Order and exceptions, by kind and name. Workloads that are not listed are restarted in wave 0."""

    timeout: Annotated[str, Duration("1s", "24h")] = "10m"
    """How long a wave may take to be ready on the new version; after that the run is Held and later waves are not touched."""

    soak: Annotated[str, Duration("0s", "24h")] = "0s"
    """How long a ready wave must stay ready before the next one starts."""
