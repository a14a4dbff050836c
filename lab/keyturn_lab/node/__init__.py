"""A Kubernetes node whose pods are local processes, as a context manager."""

from keyturn_lab.node.mounts import Mode
from keyturn_lab.node.node import Node

__all__ = ["Mode", "Node"]
