"""Debian's OpenSSH through the common suite: keys by the account itself, passwords by the least administrator of docs/rotators/ssh.md."""

import os
from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench
from tests.rotators.ssh_bench import OVERLAP, SINGLE_USER, key_bench, password_bench
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.openssh import OpenSsh

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server() -> Iterator[OpenSsh]:
    assert os.geteuid() == 0, "sshd lets others in as root only: run this test as root"
    install("openssh-server")
    install("sudo")
    with OpenSsh() as running:
        yield running


class TestOverlap(EngineSuite):
    capabilities = OVERLAP

    @pytest.fixture
    def bench(self, server: OpenSsh) -> Iterator[Bench]:
        with key_bench(server) as bench:
            yield bench


class TestSingleUser(EngineSuite):
    capabilities = SINGLE_USER

    @pytest.fixture
    def bench(self, server: OpenSsh) -> Iterator[Bench]:
        with password_bench(server) as bench:
            yield bench
