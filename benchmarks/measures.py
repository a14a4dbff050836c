"""The measurements, each with the limit that it is held to and what peers need for the same."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from benchmarks.world import DEPLOYMENTS, SECRETS, Process, World, until, world

Json = dict[str, Any]
REST_MINUTES = 10.0
WATCH = 900  # seconds
OURS = ("secrets", "rotatingsecrets", "rotationruns", "deployments", "events", "clusterawsconnections")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of the table."""

    what: str
    seen: str
    limit: str
    peers: str = ""
    met: bool


def _figure(what: str, seen: float, limit: float, unit: str, peers: str = "") -> Figure:
    return Figure(what=what, seen=f"{seen:.1f} {unit}", limit=f"{limit:g} {unit}", peers=peers, met=seen <= limit)


def first_mirror(count: int = 2500) -> list[Figure]:
    """RotatingSecrets that are there when the process starts, until all are Ready; the start of the process is part of it."""
    with world(count) as made:
        made.rotating_secrets(count)
        before = made.writes()
        with made.operator(lease_seconds=15) as operator:
            until(lambda: operator.mirrored() == count, "the first mirror", every=0.5)
            took, usage = time.time() - operator.started, operator.usage()
            assert made.mirrored() == count, "the API server disagrees"
            calls = sum(made.aws("/stats")["calls"].values())
            written = _written(before, made.writes())
    writes = written.get("secrets", 0) + written.get("rotatingsecrets/status", 0)
    return [
        _figure(f"first mirror of {count}: time from process start", took, 12, "s", "External Secrets: 250 s; tuned 32 s"),
        _figure(f"first mirror of {count}: peak memory", usage.peak, 220, "MB", "External Secrets: 541 MB; tuned 1,328 MB"),
        _figure(f"first mirror of {count}: CPU", usage.cpu, 15, "s", "External Secrets tuned: 20 s"),
        _figure(f"first mirror of {count}: AWS calls", calls, 200, "calls", "External Secrets: 2,500, and again at each interval"),
        _figure(f"first mirror of {count}: Secret and status writes", writes, 2 * count, "writes"),
    ]


def change(count: int = 500, of: int = 2500) -> list[Figure]:
    """Many versions promoted at once, each used by one Deployment, until the last restart annotation is set."""
    with world(of) as made:
        made.rotating_secrets(of)
        made.deployments(count)
        with made.operator(margin_seconds=0, max_restarting=10_000) as operator:
            until(lambda: operator.mirrored() == of, "the first mirror", every=1)
            with Restarts(made) as restarts:
                cpu = operator.usage().cpu
                changed = made.aws(f"/rotate?n={count}", post=True)["at"]
                until(lambda: made.aws("/stats")["last"].get("ListSecrets", 0) > changed + 0.2, "the next poll")
                noticed = _first_describe(made, changed)
                until(lambda: len(restarts.times) == count, "the restarts")
                usage = operator.usage()
    took = max(restarts.times.values()) - noticed
    return [
        _figure(f"{count} of {of} changed: all Deployments restarted after the change is noticed", took, 6, "s", "Reloader 1.4.21: 51 s"),
        _figure(f"{count} of {of} changed: CPU", usage.cpu - cpu, 10.5, "s", "Reloader 1.4.21: 10.5 s"),
    ]


def _first_describe(made: World, changed: float) -> float:
    """The sweep that showed the change; the operator acts on it as soon as it is complete."""
    last: float = made.aws("/stats")["last"]["ListSecrets"]
    return max(last, changed)


class Restarts:
    """Watches Deployments' metadata, and keeps when the generation of each moved: its template was annotated."""

    def __init__(self, made: World) -> None:
        self._made = made
        self.times: dict[str, float] = {}
        self._generations = {item["metadata"]["name"]: item["metadata"]["generation"] for item in made.items(DEPLOYMENTS)}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Restarts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # the thread ends with the next event, or with the watch

    def _watch(self) -> None:
        plane, place = self._made.plane, urlsplit(self._made.plane.url)
        version = self._made.request("GET", f"{DEPLOYMENTS}?limit=1")["metadata"]["resourceVersion"]
        token = yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]["token"]
        tls = ssl.create_default_context(cafile=str(plane.ca))
        connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=WATCH, context=tls)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
        connection.request("GET", f"{DEPLOYMENTS}?watch=1&resourceVersion={version}&timeoutSeconds={WATCH}", headers=headers)
        answer = connection.getresponse()
        while not self._stop.is_set():
            line = answer.readline()
            if not line:
                return
            meta = json.loads(line)["object"]["metadata"]
            if meta["generation"] > self._generations.get(meta["name"], 0):
                self.times.setdefault(meta["name"], time.time())


def at_rest(count: int = 2500, minutes: float = REST_MINUTES) -> list[Figure]:
    """Nothing happens: no write at all besides the Lease, and few calls of AWS."""
    with world(count) as made:
        made.rotating_secrets(count)
        with made.operator() as operator:
            until(lambda: operator.mirrored() == count, "the first mirror", every=1)
            time.sleep(15)  # echoes of the first mirror
            before, calls, cpu = made.writes(), sum(made.aws("/stats")["calls"].values()), operator.usage().cpu
            time.sleep(minutes * 60)
            written = _written(before, made.writes())
            asked = sum(made.aws("/stats")["calls"].values()) - calls
            used = operator.usage().cpu - cpu
    return [
        _figure(f"at rest with {count}, {minutes:g} minutes: Kubernetes writes besides the Lease", sum(written.values()), 0, "writes"),
        _figure(f"at rest with {count}: AWS calls a minute", asked / minutes, 30, "calls", "External Secrets: 2,500 each interval"),
        Figure(what=f"at rest with {count}: CPU", seen=f"{used / minutes / 60 * 100:.1f} %", limit="-", met=True),
    ]


def repair(count: int = 100) -> list[Figure]:
    """Secrets that somebody edits or deletes, one after the other, until each is back as it was; the longest of all."""
    edited, deleted = list[float](), list[float]()
    with world(count) as made:
        made.rotating_secrets(count)
        with made.operator() as operator:
            until(lambda: operator.mirrored() == count, "the first mirror")
            for number in range(count):
                path = f"{SECRETS}/secret-{number:05d}"
                (edited if number % 2 else deleted).append(_repaired(made, path, edit=bool(number % 2)))
    return [
        _figure(f"a Secret that is {what} by hand is back: longest of {len(times)}", max(times), 2, "s")
        for what, times in (("edited", edited), ("deleted", deleted))
    ]


def _repaired(made: World, path: str, *, edit: bool) -> float:
    """Seconds."""
    good = made.data(path)
    begun = time.monotonic()
    if edit:
        made.edit(path, dict.fromkeys(good, "ZWRpdGVk"))
    else:
        made.request("DELETE", path)
    until(lambda: made.data(path) == good, "the repair", every=0.005)
    return time.monotonic() - begun


def start_up(tries: int = 5) -> list[Figure]:
    """From the start of the process to ready as the leader, in an empty cluster; the median of some."""
    times: list[float] = []
    with world(0) as made:
        for _ in range(tries + 1):
            with made.operator(lease_seconds=15) as operator:
                until(operator.leads, "readiness", every=0.02)
                times.append(time.time() - operator.started)
    times = sorted(times[1:])  # the first one compiled the bytecode, which an image has compiled already
    return [_figure(f"start of the process to ready (median of {tries})", times[len(times) // 2], 2, "s")]


def large(count: int = 10_000) -> list[Figure]:
    """Memory with many objects."""
    with world(count) as made:
        made.rotating_secrets(count)
        with made.operator() as operator:
            until(lambda: operator.mirrored() == count, "the first mirror", every=2)
            took, usage = time.time() - operator.started, operator.usage()
    return [
        _figure(f"{count} RotatingSecrets: peak memory", usage.peak, 400, "MB"),
        Figure(what=f"{count} RotatingSecrets: first mirror", seen=f"{took:.1f} s", limit="-", met=True),
        Figure(what=f"{count} RotatingSecrets: memory afterwards", seen=f"{usage.resident:.1f} MB", limit="-", met=True),
    ]


def _written(before: object, after: object) -> dict[str, float]:
    """Writes to what the operator writes, between two looks."""
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    return {name: after[name] - before.get(name, 0) for name in after if name.split("/")[0] in OURS and after[name] > before.get(name, 0)}


MEASURES = {"first-mirror": first_mirror, "change": change, "at-rest": at_rest, "repair": repair, "start-up": start_up, "large": large}
__all__ = ["MEASURES", "Figure", "Process"]
