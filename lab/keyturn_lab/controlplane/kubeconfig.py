"""kubeconfig files: writing ours, and reading what we need of a user's own."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.controlplane.client import Credentials


@dataclass(frozen=True, slots=True)
class Access:
    """What the current context of a kubeconfig says."""

    url: str
    ca: Path | None
    credentials: Credentials


def write(path: Path, *, url: str, ca: Path, token: str, user: str, namespace: str = "default") -> Path:
    """A kubeconfig with one context, readable by its owner only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": namespace}}],
        "current-context": "lab",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def read(path: Path, *, scratch: Path) -> Access:
    """The access of the current context; certificates that stand in the file itself are written to `scratch`.

    Raises ValueError for a way of logging in that the lab does not know (exec plugins, auth providers).
    """
    content = yaml.safe_load(path.read_text())
    context = _named(content["contexts"], content["current-context"])["context"]
    cluster = _named(content["clusters"], context["cluster"])["cluster"]
    user = _named(content["users"], context["user"])["user"]
    ca = _file(cluster, "certificate-authority", path.parent, scratch)
    certificate, key = (_file(user, field, path.parent, scratch) for field in ("client-certificate", "client-key"))
    token = user.get("token") or ((path.parent / user["tokenFile"]).read_text().strip() if "tokenFile" in user else None)
    if not token and not (certificate and key):
        raise ValueError(f"{path}: user {context['user']!r} has neither a token nor a client certificate; the lab can use no other login")
    pair = KeyPair(certificate, key) if certificate and key else None
    return Access(cluster["server"], ca, Credentials(token, pair))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _file(entry: dict[str, Any], field: str, base: Path, scratch: Path) -> Path | None:
    if data := entry.get(f"{field}-data"):
        path = scratch / f"{field}.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(base64.b64decode(data))
        return path
    return base / entry[field] if field in entry else None
