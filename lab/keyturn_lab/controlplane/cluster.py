"""A cluster that somebody can use: its address, an admin's access to it, and kubectl.

Everything that the lab's other parts and the tests need of a control plane, whoever runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_lab.controlplane import kubeconfig
from keyturn_lab.controlplane.client import Client, Credentials

TOKEN_LIFETIME_SECONDS = 24 * 3600


class Cluster:
    """Access to a control plane as its admin."""

    directory: Path
    """Of its logs and generated files."""
    kubeconfig: Path
    """The admin's."""
    url: str
    ca: Path
    client: Client
    _admin_token: str | None
    _kubectl: Path

    @property
    def admin_token(self) -> str:
        """Raises LookupError where the admin logs in with a certificate."""
        if self._admin_token is None:
            raise LookupError(f"{self.kubeconfig}: its user has a client certificate and no token")
        return self._admin_token

    def kubectl(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run kubectl as admin. With `check`, raises RuntimeError with what kubectl wrote to stderr."""
        command = [str(self._kubectl), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.directory / 'kubectl-cache'}", *args]
        environment = os.environ | {"KUBERC": "off"}  # the user's own aliases and defaults would change what the words mean
        done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(args)}: exit code {done.returncode}\n{done.stderr.strip()}")
        return done

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig with a fresh token of that service account, valid for a day."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        answer = self.client.request("POST", path, {"spec": {"expirationSeconds": TOKEN_LIFETIME_SECONDS}})
        return kubeconfig.write(
            self.directory / "kubeconfigs" / f"{namespace}.{service_account}",
            url=self.url,
            ca=self.ca,
            token=answer["status"]["token"],
            user=service_account,
            namespace=namespace,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


class ExistingCluster(Cluster):
    """A cluster of the user's own: nothing is started, nothing is stopped."""

    def __init__(self, path: Path, *, directory: Path, kubectl: Path) -> None:
        access = kubeconfig.read(path, scratch=directory)
        self.directory, self.kubeconfig, self.url = directory, path, access.url
        self.ca = access.ca or Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
        self._admin_token = access.credentials.token
        self._kubectl = kubectl
        self.client = Client(access.url, ca=access.ca, credentials=access.credentials)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.client.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def admin_client(url: str, ca: Path, token: str) -> Client:
    """A client that logs in with a token."""
    return Client(url, ca=ca, credentials=Credentials(token=token))
