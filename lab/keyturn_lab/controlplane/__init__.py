"""A real Kubernetes control plane on loopback ports, as a context manager."""

from keyturn_lab.controlplane.client import ApiError, Client
from keyturn_lab.controlplane.cluster import Cluster
from keyturn_lab.controlplane.plane import ControlPlane

__all__ = ["ApiError", "Client", "Cluster", "ControlPlane"]
