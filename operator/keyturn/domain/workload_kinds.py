"""Where the API server serves the kinds of workloads: the one table, for those who watch, list and restart them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from keyturn.domain.observed import WorkloadKind


class Place(NamedTuple):
    """In the order in which kopf takes it."""

    group: str
    version: str
    plural: str

    @property
    def api(self) -> str:
        """The path of the group's version."""
        return f"/apis/{self.group}/{self.version}"

    def path(self, namespace: str, name: str) -> str:
        """The path of one object."""
        return f"{self.api}/namespaces/{namespace}/{self.plural}/{name}"


PLACES: Mapping[WorkloadKind, Place] = {
    WorkloadKind.DEPLOYMENT: Place("apps", "v1", "deployments"),
    WorkloadKind.STATEFUL_SET: Place("apps", "v1", "statefulsets"),
    WorkloadKind.DAEMON_SET: Place("apps", "v1", "daemonsets"),
    WorkloadKind.CRON_JOB: Place("batch", "v1", "cronjobs"),
    WorkloadKind.JOB: Place("batch", "v1", "jobs"),
    WorkloadKind.ROLLOUT: Place("argoproj.io", "v1alpha1", "rollouts"),
}
"""Bare pods are not among them: they are listed by a consumer's selector and never watched."""
