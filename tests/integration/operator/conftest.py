"""One operator per test worker, on a lab of its own; each test is a tenant with a namespace of its own.

The worker's other lab is no place for it: it would act on the objects with which other tests try the API server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import rotator
from tests.support.kube import Kube
from tests.support.lab import running_node
from tests.support.operator import Operator, install, running_operator
from tests.support.shop import Shop

from keyturn_lab.aws import Aws
from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The operator's own, instead of the worker's."""
    with ControlPlane() as plane:
        yield plane


@pytest.fixture(scope="session")
def node(control_plane: ControlPlane) -> Iterator[Node]:
    """Its node."""
    with running_node(control_plane) as running:
        yield running


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    """The lab's AWS."""
    with Aws(region="eu-west-1") as running:
        yield running


@pytest.fixture(scope="session")
def function(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The ARN of a rotation function that needs no back end."""
    return rotator.register(aws, "rotator", tmp_path_factory.mktemp("rotator"), seconds=30)


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our kinds and the default connection."""
    install(control_plane)
    return control_plane


@pytest.fixture(scope="session")
def operator(cluster: ControlPlane, aws: Aws) -> Iterator[Operator]:
    """The operator, leading. A test that kills it starts it again."""
    with running_operator(cluster, aws.environment) as running:
        yield running


@pytest.fixture
def shop(operator: Operator, node: Node, aws: Aws, function: str, control_plane: ControlPlane, namespace: str) -> Iterator[Shop]:
    """A tenant. Afterwards every status that is left must satisfy kstatus and Flux."""
    made = Shop(plane=control_plane, kube=Kube(control_plane.client, namespace), aws=aws, namespace=namespace, function=function)
    yield made
    assert made.complaints() == []


@pytest.fixture
def own(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A tenant whose secrets have a rotation function of their own, called like the namespace, which faults can meet."""
    arn = rotator.register(shop.aws, shop.namespace, tmp_path)
    yield replace(shop, function=arn)
    for fault in shop.aws.faults.listed():
        if fault.action == shop.namespace:
            shop.aws.faults.clear(fault.fault_id)
