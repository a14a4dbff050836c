"""One lab per test worker: a control plane and a node, shared by all tests of the worker, each of which has a namespace of its own."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException

from tests.support.eventually import wait_until
from tests.support.kube import Kube

from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.node import Node

SECRET_DELAY = 0.07
RESTART_BACKOFF = 0.3


@contextmanager
def running_node(plane: ControlPlane) -> Iterator[Node]:
    """A node as most tests want it: the images `python` and `sh`, and quick updates and restarts."""
    images = {"python": [sys.executable], "sh": ["/bin/sh", "-c"]}
    with Node(plane, images=images, secret_delay=SECRET_DELAY, restart_backoff=RESTART_BACKOFF) as node:
        yield node


@contextmanager
def fresh_namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace with a random name and its `default` service account; deleted afterwards, without waiting for it."""
    name = f"test-{secrets.token_hex(4)}"
    kube = Kube(plane.client, name)
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_until(lambda: kube.find("ServiceAccount", "default"), what=f"the default service account of {name}")
    try:
        yield name
    finally:
        with suppress(ApiError, OSError, HTTPException):  # the test may have stopped the API server
            kube.delete("Namespace", name)
            for pod in kube.list("Pod"):
                kube.delete("Pod", pod["metadata"]["name"], grace=0)
