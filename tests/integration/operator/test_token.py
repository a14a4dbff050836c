"""The operator's own token for the API server is renewed in its file, and the one before stops to work.

The module has a control plane of its own, because its API server is restarted.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.eventually import wait_until
from tests.support.kube import Kube
from tests.support.lab import fresh_namespace
from tests.support.operator import install, running_operator
from tests.support.shop import Shop

from keyturn_lab.aws import Aws
from keyturn_lab.controlplane import ControlPlane

ACCOUNT = "operator"


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane with our kinds."""
    with ControlPlane() as running:
        install(running)
        yield running


@pytest.fixture
def tenant(plane: ControlPlane) -> Iterator[Shop]:
    """A namespace, and an AWS."""
    with Aws(region="eu-west-1") as aws, fresh_namespace(plane) as namespace:
        yield Shop(plane=plane, kube=Kube(plane.client, namespace), aws=aws, namespace=namespace, function="")


class Tokens:
    """A service account that may do everything, and tokens of it that end with the object to which each is bound."""

    def __init__(self, plane: ControlPlane, file: Path) -> None:
        self.plane, self.file = plane, file
        self.kube = Kube(plane.client, "default")
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        self.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}})
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT}}
        self.kube.apply(binding | {"subjects": [subject], "roleRef": role})

    def renew(self, bound_to: str) -> str:
        """Put a new token into the file, as kubelet does; answers it."""
        anchor = self.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": bound_to}})
        bound = {"apiVersion": "v1", "kind": "Secret", "name": bound_to, "uid": anchor["metadata"]["uid"]}
        path = f"/api/v1/namespaces/default/serviceaccounts/{ACCOUNT}/token"
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound}}
        token = str(self.plane.client.request("POST", path, wanted)["status"]["token"])
        fresh = self.file.with_suffix(".new")
        fresh.write_text(token)
        fresh.rename(self.file)
        return token

    def works(self, token: str) -> bool:
        """The API server takes it."""
        context = ssl._create_unverified_context()  # a control plane of this test, on loopback
        request = urllib.request.Request(f"{self.plane.url}/api", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, context=context, timeout=10):
                return True
        except urllib.error.HTTPError as error:
            return error.code != 401

    def kubeconfig(self, path: Path) -> Path:
        """One that logs in by the file."""
        config = yaml.safe_load(self.plane.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"tokenFile": str(self.file)}
        path.write_text(yaml.safe_dump(config))
        return path


def test_a_token_that_was_renewed_in_its_file_is_taken_up_by_all_requests_and_watches(
    plane: ControlPlane, tenant: Shop, tmp_path: Path
) -> None:
    tokens = Tokens(plane, tmp_path / "token")
    first = tokens.renew("first")
    kubeconfig = tokens.kubeconfig(tmp_path / "kubeconfig")
    with running_operator(plane, tenant.aws.environment, kubeconfig=kubeconfig, lease_seconds=60) as running:
        tenant.put("before", rotation=False)
        tenant.rotating_secret("before")
        tenant.ready("before")
        second = tokens.renew("second")
        tokens.kube.delete("Secret", "first")
        wait_until(lambda: not tokens.works(first), timeout=60, what="the end of the first token")
        assert tokens.works(second)
        plane.restart_apiserver()  # every watch begins anew, with a token that works
        tenant.put("after", rotation=False)
        wait_until(lambda: tenant.rotating_secret("after"), what="the API server")
        tenant.ready("after", timeout=60)
        tenant.kube.delete("Secret", "before")  # the watch of Secrets, too
        tenant.kube.wait_for("Secret", "before", lambda seen: seen["data"], timeout=30)
        assert running.probe("readyz")[0] == 200
        assert not {token for token in (first, second) if token in running.text()}
