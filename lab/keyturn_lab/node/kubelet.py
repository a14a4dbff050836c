"""The running node: registers, keeps its Lease, follows the pods that are bound to it, and serves logs and exec."""

from __future__ import annotations

import asyncio
import logging
import platform
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from aiohttp import web

from keyturn_lab.node.addresses import Pool
from keyturn_lab.node.api import MERGE_PATCH, STRATEGIC_MERGE_PATCH, UNREACHABLE, Api, Changed, Deleted, Json, Refused, Synced, tolerating
from keyturn_lab.node.cache import ObjectCache
from keyturn_lab.node.container import now
from keyturn_lab.node.host import Host
from keyturn_lab.node.mounts import Mode, Mounter, choose, outermost
from keyturn_lab.node.pod import Pod
from keyturn_lab.node.server import Server
from keyturn_lab.node.settings import Settings, TunablesFile

LEASE_SECONDS, RENEW_SECONDS = 40, 10.0
SHUTDOWN_GRACE_SECONDS = 2.0
CONFLICT, NOT_FOUND = 409, 404
MODE_LABEL = "lab.keyturn.dev/mounts"
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "100Gi"}
log = logging.getLogger(__name__)


class Kubelet:
    """One node."""

    def __init__(self, host: Host) -> None:
        self._host, self._api, self._settings = host, host.api, host.settings
        self._pool = Pool(self._settings.address)
        self.pods: dict[str, Pod] = {}
        self._departing: set[asyncio.Task[None]] = set()

    async def register(self) -> None:
        """Create the Node and say that it is ready."""
        labels = {"kubernetes.io/hostname": self._settings.name, "kubernetes.io/os": "linux", MODE_LABEL: self._host.mounter.mode.value}
        with tolerating(CONFLICT):
            await self._api.call("POST", "/api/v1/nodes", {"metadata": {"name": self._settings.name, "labels": labels}})
        await self._renew_lease()
        path = f"/api/v1/nodes/{self._settings.name}/status"
        await self._api.call("PATCH", path, {"status": self._node_status()}, content_type=STRATEGIC_MERGE_PATCH)

    async def keep_lease(self) -> None:
        """Without it, the node counts as lost after a minute and a half."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._renew_lease()
            except (Refused, *UNREACHABLE) as error:
                log.info("lease: %s", error)

    async def follow_pods(self) -> None:
        """Start, update and end pods as the API server has them."""
        async for event in self._api.list_watch("/api/v1/pods", f"spec.nodeName={self._settings.name}"):
            match event:
                case Synced(items):
                    for uid in self.pods.keys() - {item["metadata"]["uid"] for item in items}:
                        self._gone(uid, grace=0)
                    for item in items:
                        self._seen(item)
                case Deleted(item):
                    self._gone(item["metadata"]["uid"], grace=item["metadata"].get("deletionGracePeriodSeconds") or 0)
                case Changed(item):
                    self._seen(item)

    async def stop(self) -> None:
        """End all processes; the pods stay in the API, as when a machine is switched off."""
        for pod in self.pods.values():
            pod.abandon(SHUTDOWN_GRACE_SECONDS)
        if self.pods:
            await asyncio.wait([asyncio.create_task(pod.ended()) for pod in self.pods.values()], timeout=SHUTDOWN_GRACE_SECONDS + 2)

    def _seen(self, item: Json) -> None:
        uid = item["metadata"]["uid"]
        status = item.get("status") or {}
        if uid in self.pods:
            self.pods[uid].update(item)
        elif item["metadata"].get("deletionTimestamp"):
            self._spawn_departure(self._forget(item))
        elif status.get("phase") not in ("Succeeded", "Failed"):
            address = status.get("podIP") or self._pool.take(pod.address for pod in self.pods.values())
            self.pods[uid] = Pod(item, address=address, host=self._host)

    def _gone(self, uid: str, *, grace: float) -> None:
        pod = self.pods.pop(uid, None)
        if pod is not None:
            pod.end(grace)
            self._spawn_departure(self._depart(pod))

    def _spawn_departure(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._departing.add(task)
        task.add_done_callback(self._departing.discard)

    async def _depart(self, pod: Pod) -> None:
        await pod.ended()
        pod.release()

    async def _forget(self, item: Json) -> None:
        """A pod of before our restart: nothing of it runs."""
        metadata = item["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        with suppress(Refused, *UNREACHABLE):
            await self._api.call("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}", options)

    async def _renew_lease(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self._settings.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed}
        try:
            await self._api.call("PATCH", f"{path}/{self._settings.name}", {"spec": spec}, content_type=MERGE_PATCH)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            await self._api.call("POST", path, {"metadata": {"name": self._settings.name}, "spec": spec})

    def _node_status(self) -> Json:
        machine = dict.fromkeys(("machineID", "systemUUID", "bootID", "kubeProxyVersion"), "lab")
        ready = {"type": "Ready", "status": "True", "reason": "LabNodeReady", "message": "pods are local processes"}
        addresses = {"InternalIP": self._settings.address, "Hostname": self._settings.name}
        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [{"type": kind, "address": address} for kind, address in addresses.items()],
            "declaredFeatures": ["ExtendWebSocketsToKubelet"],  # or the API server would translate exec to SPDY
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._settings.port}},
            "nodeInfo": machine
            | {
                "kubeletVersion": "v1.36.3",
                "containerRuntimeVersion": "process://0",
                "kernelVersion": platform.release(),
                "osImage": "the machine that the lab runs on",
                "operatingSystem": "linux",
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            },
            "conditions": [ready | {"lastHeartbeatTime": now(), "lastTransitionTime": now()}],
        }


@asynccontextmanager
async def host_of(settings: Settings) -> AsyncIterator[Host]:
    """Everything that the pods of this node share."""
    directory = Path(settings.directory)
    keep = outermost(settings.keep)
    mounter = Mounter(mode=Mode(settings.mounts) if settings.mounts else choose(directory, keep), directory=directory, keep=keep)
    async with Api(settings) as api, aiohttp.ClientSession() as probe_session:
        tunables = TunablesFile(directory / "tunables.json")
        host = Host(settings=settings, tunables=tunables, api=api, cache=ObjectCache(api), mounter=mounter, probe_session=probe_session)
        for path in (host.pods, host.logs):
            path.mkdir(parents=True, exist_ok=True)
        try:
            yield host
        finally:
            shutil.rmtree(host.pods, ignore_errors=True)


async def run(settings: Settings) -> None:
    """Be a node until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with host_of(settings) as host:
        kubelet = Kubelet(host)
        runner = web.AppRunner(Server(kubelet.pods, host).application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, socket.socket(fileno=settings.listener), ssl_context=_server_tls(settings)).start()
        await kubelet.register()
        work = [asyncio.create_task(kubelet.keep_lease()), asyncio.create_task(kubelet.follow_pods())]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # neither ends by itself, unless it fails
        finally:
            for task in work:
                task.cancel()
            await kubelet.stop()
            await runner.cleanup()


def _server_tls(settings: Settings) -> ssl.SSLContext:
    """Only the API server, which shows a certificate of the lab's authority, is let in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.ca)
    context.load_cert_chain(settings.certificate, settings.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
