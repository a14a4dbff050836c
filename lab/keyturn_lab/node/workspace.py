"""The files, environment and command lines of one pod."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from keyturn_lab.node.api import Json
from keyturn_lab.node.environment import environment_of, expand
from keyturn_lab.node.host import Host
from keyturn_lab.node.mounts import Command, Mode, Mount
from keyturn_lab.node.references import Missing, References
from keyturn_lab.node.support import containers, unsupported
from keyturn_lab.node.volumes import MATERIALISED, files_of, write_atomically

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Unsupported(Exception):
    """The node cannot run this pod."""


class Workspace:
    """Turns a pod's spec into what its processes need."""

    def __init__(self, pod: Callable[[], Json], *, address: str, host: Host, on_change: Callable[[], None]) -> None:
        self._pod, self._host = pod, host
        settings = host.settings
        metadata = pod()["metadata"]
        self.directory = host.pods / metadata["uid"]
        addresses = {"status.podIP": address, "status.podIPs": address, "status.hostIP": settings.address, "spec.nodeName": settings.name}
        self.references = References(pod, addresses=addresses, api=host.api, cache=host.cache, on_change=on_change)

    async def check(self) -> None:
        """Raises Unsupported, or Missing while something that a container needs is not there."""
        spec = self._pod()["spec"]
        if reasons := unsupported(spec):
            raise Unsupported(f"the lab's node does not support: {'; '.join(reasons)}")
        await self.materialise()
        for container in containers(spec):
            self._argv(container, await self._environment(container))

    async def materialise(self) -> bool:
        """Write the volumes as they should be now; says whether anything changed. Raises Missing."""
        changed = False
        for volume in self._pod()["spec"].get("volumes") or []:
            directory = self._volume_directory(volume)
            if any(kind in volume for kind in MATERIALISED):
                changed |= write_atomically(directory, await files_of(volume, self.references))
            elif "emptyDir" in volume:
                directory.mkdir(parents=True, exist_ok=True)
        return changed

    async def command(self, container: Json) -> Command:
        """How to start a container now: its references are resolved afresh. Raises Missing."""
        await self.materialise()
        environment = await self._environment(container)
        home, scratch = self.directory / "home", self.directory / "mounts" / container["name"]
        for directory in (home, scratch):
            directory.mkdir(parents=True, exist_ok=True)
        mounts = self._mounts(container)
        if self._host.mounter.mode is Mode.REWRITE:
            environment |= self._without_account_path(mounts)
        command = Command(argv=self._argv(container, environment), environment=environment, cwd=home)
        return self._host.mounter.wrap(command, mounts, scratch=scratch, workdir=container.get("workingDir"))

    def destroy(self) -> None:
        """Remove its files, and stop following what it refers to."""
        self.references.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _argv(self, container: Json, environment: dict[str, str]) -> list[str]:
        program = container.get("command") or self._host.tunables.now().entrypoint(container.get("image", ""))
        if not program:
            raise Missing(f"image {container.get('image')!r} stands for no program on this node, and the container has no command")
        return [expand(word, environment) for word in [*program, *(container.get("args") or [])]]

    async def _environment(self, container: Json) -> dict[str, str]:
        settings = self._host.settings
        server = urlsplit(settings.url)
        base = {
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
            "LANG": "C.UTF-8",
            "HOME": str(self.directory / "home"),
            "HOSTNAME": self._pod()["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(server.port),
            **settings.environment,
        }
        return await environment_of(container, self.references, base) | {"KEYTURN_LAB_NODE": settings.run_id}

    def _volume_directory(self, volume: Json) -> Path:
        path = volume["hostPath"]["path"] if "hostPath" in volume else self.directory / "volumes" / volume["name"]
        return Path(path)

    def _mounts(self, container: Json) -> list[Mount]:
        volumes = {volume["name"]: volume for volume in self._pod()["spec"].get("volumes") or []}
        return [self._mount(entry, volumes[entry["name"]]) for entry in container.get("volumeMounts") or []]

    def _mount(self, entry: Json, volume: Json) -> Mount:
        source = self._volume_directory(volume)
        if sub_path := entry.get("subPath"):
            source = Path(os.path.realpath(source / sub_path))
            if not source.exists():
                source.mkdir(parents=True)
        read_only = bool(entry.get("readOnly")) or any(kind in volume for kind in MATERIALISED)
        return Mount(target=entry["mountPath"].rstrip("/") or "/", source=source, read_only=read_only)

    def _without_account_path(self, mounts: list[Mount]) -> dict[str, str]:
        """Client libraries have the token's path built in; where it cannot be mounted, they are given a kubeconfig instead."""
        account = next((mount.source for mount in mounts if mount.target == ACCOUNT), None)
        if account is None:
            return {}
        settings, namespace = self._host.settings, self._pod()["metadata"]["namespace"]
        path = self.directory / "kubeconfig"
        cluster = {"server": settings.url, "certificate-authority": settings.ca}
        context = {"cluster": "lab", "user": "account", "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "account", "user": {"tokenFile": str(account / "token")}}],
            "contexts": [{"name": "lab", "context": context}],
            "current-context": "lab",
        }
        path.write_text(json.dumps(content))
        return {"KUBECONFIG": str(path), "KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""}
