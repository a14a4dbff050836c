"""Who is asked to end gives the lease back, and only when nothing of it is at work any more."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import cast

from tests.component.kube.fake_api import FakeApi, answer

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.lease import Elector, LeaseTimes
from keyturn.app import Leader, lead
from keyturn.telemetry.metrics import Metrics

NOT_FOUND = answer({"reason": "NotFound"}, 404)


class Worker:
    """A leader before kopf has taken the signals over: it is told to end while it is at work, and takes a while for it."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api
        self.ended_after: int | None = None  # requests

    async def run(self) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            self.ended_after = len(self._api.requests)


async def test_the_lease_is_given_back_after_the_work_has_ended_when_a_signal_comes_before_kopf_listens(
    client: KubeClient, api: FakeApi
) -> None:
    mine = {"metadata": {"name": "keyturn", "resourceVersion": "1"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 60}}
    api.then(NOT_FOUND, answer(mine), answer(mine), answer(mine))
    worker = Worker(api)
    elector = Elector(client, namespace="keyturn", name="keyturn", identity="me", times=LeaseTimes(duration=60, renew=40, retry=2))
    assert await lead(elector, cast(Leader, worker), Metrics(version="0")) == 0
    assert worker.ended_after == len(api.requests) - 2, "the lease was read and given back, and nothing else came after the work"
    assert not elector.leading
