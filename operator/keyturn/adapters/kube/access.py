"""How the API server is reached and who we are there: in-cluster, or by kubeconfig with all its ways of logging in.

The official client's configuration is used (it knows exec plugins, OIDC and token files), and nothing else of it. Its import is free
next to kopf, which imports the same packages. Tokens expire: in the cluster the file is read again every minute; everywhere a 401 leads to
one renewal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

HOME_CONFIG = "~/.kube/config"

Load = Callable[[Configuration], Awaitable[None]]

_MALFORMED = (kube_config.ConfigException, OSError, TypeError, ValueError, AttributeError, KeyError, yaml.YAMLError)
"""What the official loader raises for bad files. Their messages may quote the file, and are not passed on."""

_log = logging.getLogger(__name__)
_load_kubeconfig = cast("Callable[..., Awaitable[object]]", kube_config.load_kube_config)
_list_contexts = cast("Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]", kube_config.list_kube_config_contexts)
_load_in_cluster = cast("Callable[..., None]", kube_config.load_incluster_config)


class AccessError(Exception):
    """No usable configuration; says where one was looked for. Shows no token."""


class Access:
    """One API server and one identity. `repr` shows no credential."""

    def __init__(self, configuration: Configuration, *, load: Load) -> None:
        self._configuration, self._load = configuration, load
        self._renewal: asyncio.Task[bool] | None = None
        self._last_token: str | None = None
        self.url: str = configuration.host.rstrip("/")
        self.proxy: str | None = configuration.proxy
        self.server_hostname: str | None = getattr(configuration, "tls_server_name", None) or None

    def __repr__(self) -> str:
        return f"Access({self.url})"

    def tls(self) -> ssl.SSLContext | bool:
        """The context for a connector; True for plain HTTP, where it is not used."""
        if not self.url.startswith("https"):
            return True
        context = ssl.create_default_context(cafile=self._configuration.ssl_ca_cert)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters' own authorities often lack the extensions that Python 3.13 demands
        if self._configuration.cert_file:
            context.load_cert_chain(self._configuration.cert_file, self._configuration.key_file)
        if not self._configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def authorization(self) -> str | None:
        """The value of the Authorization header, read anew from a token file that is a minute old; None with certificates."""
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
        except _MALFORMED as error:
            _log.warning("the token could not be read again (%s); the last one is used", type(error).__name__)
            return self._last_token
        self._last_token = token.strip() if token else None
        return self._last_token

    async def renew(self) -> bool:
        """After a 401: log in again, once for all that ask at the same time. False where that did not work."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.ensure_future(self._renewed())
        return await asyncio.shield(self._renewal)

    async def _renewed(self) -> bool:
        try:
            await self._load(self._configuration)
        except _MALFORMED as error:
            _log.warning("logging in again to %s failed: %s", self.url, type(error).__name__)
            return False
        return True


async def load_access(kubeconfig: Path | None = None, *, context: str | None = None) -> Access:
    """The first of: the given kubeconfig, KUBECONFIG, the pod's service account, ~/.kube/config. Raises AccessError."""
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
    if not named and context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return await _access(_in_cluster, "the pod's service account")
    source = _existing(named or HOME_CONFIG)

    async def load(configuration: Configuration) -> None:
        await _load_kubeconfig(config_file=source, context=context, client_configuration=configuration, persist_config=False)

    return await _access(load, source)


def context_namespace(kubeconfig: Path | None = None, context: str | None = None) -> str:
    """The namespace of the kubeconfig's context; `default` where it names none, or there is no kubeconfig (in a pod)."""
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or HOME_CONFIG
    try:
        contexts, active = _list_contexts(config_file=_existing(named))
    except (AccessError, *_MALFORMED):
        return "default"
    chosen = next((item for item in contexts if item["name"] == context), active)
    return str(chosen.get("context", {}).get("namespace") or "default")


def _existing(source: str) -> str:
    """One path or several, as in KUBECONFIG; at least one must be there."""
    paths = [os.path.expanduser(path) for path in source.split(os.pathsep) if path]
    if not any(os.path.isfile(path) for path in paths):
        raise AccessError(f"no access to a Kubernetes API server: {source} does not exist, and this is no pod with a service account")
    return os.pathsep.join(paths)


async def _in_cluster(configuration: Configuration) -> None:
    _load_in_cluster(client_configuration=configuration)


async def _access(load: Load, source: str) -> Access:
    configuration = Configuration()
    try:
        await load(configuration)
    except _MALFORMED as error:
        cause = type(error).__name__
    else:
        return Access(configuration, load=load)
    raise AccessError(f"no access to a Kubernetes API server from {source}: {cause}")
