"""Who we are to the API server, and how that is renewed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config
from tests.component.kube.fake_api import FakeApi, answer

from keyturn.adapters.kube.access import AccessError, load_access
from keyturn.adapters.kube.client import KubeClient
from keyturn.domain.failures import FailureKind, OutsideError

RotateToken = Callable[[str], None]

UNAUTHORIZED = answer({"reason": "Unauthorized", "message": "Unauthorized"}, 401)
OK = answer({"ok": True})


def exec_user(script: Path) -> dict[str, object]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)], "env": None}}


def counting_plugin(tmp_path: Path) -> Path:
    """An exec plugin whose tokens are t1, t2, and so on."""
    script, count = tmp_path / "plugin.py", tmp_path / "count"
    script.write_text(
        "import json, pathlib\n"
        f"path = pathlib.Path({str(count)!r})\n"
        "number = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(number))\n"
        "status = {'token': f't{number}'}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': status}))\n"
    )
    return script


async def test_an_exec_plugin_logs_in_and_is_asked_again_after_a_401(api: FakeApi, tmp_path: Path) -> None:
    access = await load_access(api.kubeconfig(tmp_path / "config", exec_user(counting_plugin(tmp_path))))
    api.then(OK, UNAUTHORIZED, OK)
    async with KubeClient(access) as client:
        await client.request("GET", "/a", subject="a")
        assert await client.request("POST", "/a", {}, subject="a") == {"ok": True}
    assert api.tokens() == ["Bearer t1", "Bearer t1", "Bearer t2"]


async def test_many_that_meet_a_401_together_log_in_once(api: FakeApi, tmp_path: Path) -> None:
    access = await load_access(api.kubeconfig(tmp_path / "config", exec_user(counting_plugin(tmp_path))))
    assert await asyncio.gather(*(access.renew() for _ in range(10))) == [True] * 10
    assert (tmp_path / "count").read_text() == "2"


async def test_a_401_that_stays_is_transient(api: FakeApi, tmp_path: Path) -> None:
    access = await load_access(api.kubeconfig(tmp_path / "config", {"token": "revoked"}))
    api.then(UNAUTHORIZED)
    async with KubeClient(access) as client:
        with pytest.raises(OutsideError) as refused:
            await client.request("POST", "/a", {}, subject="a")
    assert (refused.value.kind, refused.value.reason) == (FailureKind.TRANSIENT, "Unauthorized")


async def test_a_new_token_in_the_file_is_used_after_a_401(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    access = await load_access(api.kubeconfig(tmp_path / "config", {"tokenFile": str(tmp_path / "token")}))
    (tmp_path / "token").write_text("second\n")
    api.then(UNAUTHORIZED, OK)
    async with KubeClient(access) as client:
        await client.request("GET", "/a", subject="a")
    assert api.tokens() == ["Bearer first", "Bearer second"]


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RotateToken:
    """What a pod with a service account looks like; answers what a rotation of its token does."""
    for name, constant in (("token", "SERVICE_TOKEN_FILENAME"), ("ca.crt", "SERVICE_CERT_FILENAME")):
        (tmp_path / name).write_text(f"{name}-1\n")
        monkeypatch.setattr(incluster_config, constant, str(tmp_path / name))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    def rotate(content: str) -> None:
        (tmp_path / "token").write_text(content)

    return rotate


async def test_in_a_pod_the_service_account_is_used(pod: RotateToken) -> None:
    access = await load_access()
    assert access.url == "https://10.0.0.1:443"
    assert await access.authorization() == "bearer token-1"


async def test_in_a_pod_a_rotated_token_is_read_again(pod: RotateToken) -> None:
    access = await load_access()
    pod("token-2\n")
    assert await access.renew()
    assert await access.authorization() == "bearer token-2"


async def test_a_token_file_that_cannot_be_read_for_a_moment_leaves_the_last_token(pod: RotateToken) -> None:
    access = await load_access()
    await access.authorization()
    pod("")
    assert not await access.renew()
    assert await access.authorization() == "bearer token-1"


async def test_kubeconfig_in_the_environment_wins_over_the_pod(
    pod: RotateToken, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "config", {"token": "mine"})))
    assert (await load_access()).url == api.url


async def test_no_access_at_all_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AccessError, match="nothing does not exist"):
        await load_access(tmp_path / "nothing")


@pytest.mark.parametrize("content", ["", "{}", "users: [{name: me, user: {token: canary-7f3a}}]", "][", "- a"])
async def test_a_kubeconfig_that_is_none_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(AccessError) as refused:
        await load_access(tmp_path / "config")
    assert "canary" not in str(refused.value)
    assert "canary" not in json.dumps(repr(refused.value.__dict__))


async def test_access_shows_no_token(api: FakeApi, tmp_path: Path) -> None:
    access = await load_access(api.kubeconfig(tmp_path / "config", {"token": "canary-7f3a"}))
    assert repr(access) == f"Access({api.url})"
