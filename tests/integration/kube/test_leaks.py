"""A value that goes into a Secret comes out nowhere else: not in a log at DEBUG, an exception, a repr, an event or a metric."""

from __future__ import annotations

import asyncio
import logging
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count

import pytest
from tests.integration.kube.conftest import ManifestOf
from tests.support.eventually import WITHIN, eventually
from tests.support.kube import Kube, Object

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.events import KubeRecorder
from keyturn.adapters.kube.objects import KubeObjects
from keyturn.adapters.kube.secrets import KubeSecrets
from keyturn.adapters.kube.watch import SecretWatch
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.engine.ports import SecretManifest
from keyturn_lab.controlplane import ControlPlane

CANARY = "canary-7f3a-never-to-be-seen"
FORMS = (CANARY, b64encode(CANARY.encode()).decode(), CANARY.encode().hex())
VALUE = {"password": CANARY.encode()}


def clean(text: str) -> bool:
    return not any(form in text for form in FORMS)


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("aiohttp", "asyncio", "kubernetes", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)


async def told_by(failing: Callable[[], Awaitable[object]]) -> str:
    """Everything that an exception and what it was chained to can be made to say."""
    with pytest.raises(OutsideError) as caught:
        await failing()
    error: BaseException | None = caught.value
    text = "".join(traceback.format_exception(caught.value, chain=True))
    while error is not None:
        text += f"{error!r} {error} {error.args!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__
    return text


async def test_the_whole_life_of_a_mirror_leaves_no_trace_in_logs_and_reprs(
    client: KubeClient, namespace: str, manifest: ManifestOf, caplog: pytest.LogCaptureFixture
) -> None:
    secrets, told = KubeSecrets(client), []
    watch = SecretWatch(client, lambda *seen: told.append(repr(seen)), namespaces=[namespace])
    task = asyncio.create_task(watch.run())
    wanted = manifest(data=VALUE)
    written = await secrets.create(wanted)
    live = await secrets.read(namespace, "orders-db")
    assert live is not None
    again = await secrets.replace(live, manifest(data={"password": CANARY.encode() + b"2"}))
    await eventually(lambda: len(told) >= 1, what="the watch")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert clean(f"{wanted!r} {live!r} {written!r} {again!r} {watch!r} {client!r} {told}")
    assert clean(caplog.text)


@pytest.mark.parametrize("bad", [{"not a key": CANARY.encode()}, {CANARY: CANARY.encode()}, {"big": CANARY.encode() * 60_000}])
async def test_a_refused_write_says_nothing_of_the_value_nor_of_a_key_that_might_be_one(
    client: KubeClient, manifest: ManifestOf, bad: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    if CANARY in bad:
        bad = {f"{CANARY} ": b"x"}
    secrets = KubeSecrets(client)
    assert clean(await told_by(lambda: secrets.create(manifest(data=bad))))
    assert clean(caplog.text)


async def test_a_conflict_says_nothing_of_the_value(
    client: KubeClient, kube: Kube, namespace: str, manifest: ManifestOf, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = KubeSecrets(client)
    await secrets.create(manifest(data=VALUE))
    live = await secrets.read(namespace, "orders-db")
    assert live is not None
    assert clean(await told_by(lambda: secrets.create(manifest(data=VALUE))))
    kube.delete("Secret", "orders-db")
    assert clean(await told_by(lambda: secrets.replace(live, manifest(data=VALUE))))
    assert clean(caplog.text)


async def test_a_policy_that_quotes_the_value_in_its_refusal_is_named_and_not_quoted(
    client: KubeClient, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    name = f"refuse-{namespace}"
    for item in policy(name, namespace):
        kube.create(item)
    try:
        refused = await until_refused(
            KubeSecrets(client), lambda number: manifest(name=f"probe-{number}", data=VALUE | {"refused": b"yes"})
        )
    finally:
        kube.delete("ValidatingAdmissionPolicyBinding", name)
        kube.delete("ValidatingAdmissionPolicy", name)
    assert refused.kind is FailureKind.FORBIDDEN
    assert refused.message.endswith(f"PolicyDenied (422): refused by ValidatingAdmissionPolicy {name}")
    assert clean(refused.message)


async def until_refused(secrets: KubeSecrets, make: Callable[[int], SecretManifest]) -> OutsideError:
    """The API server takes a moment to enforce a new policy."""
    async with asyncio.timeout(WITHIN):
        for number in count():
            try:
                await secrets.create(make(number))
            except OutsideError as error:
                return error
            await asyncio.sleep(0.05)
    raise AssertionError("unreachable")


def policy(name: str, namespace: str) -> list[Object]:
    """A refusal whose message holds the Secret's data."""
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}
    validation = {"expression": "!has(object.data) || !('refused' in object.data)", "messageExpression": "string(object.data['password'])"}
    api = "admissionregistration.k8s.io/v1"
    spec = {"matchConstraints": here | {"resourceRules": [rule]}, "validations": [validation], "failurePolicy": "Fail"}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding},
    ]


async def test_credentials_of_a_connection_are_not_logged_and_bad_ones_not_shown(
    client: KubeClient, kube: Kube, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"aws_access_key_id": b64encode(b"id").decode(), "aws_secret_access_key": b64encode(CANARY.encode() + b"\xff").decode()}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": keys})
    assert clean(await told_by(lambda: KubeObjects(client).read_credentials(namespace, "keys")))
    assert clean(caplog.text)


async def test_nothing_of_a_secret_is_in_the_events_of_the_namespace(
    client: KubeClient, kube: Kube, namespace: str, manifest: ManifestOf, control_plane: ControlPlane
) -> None:
    await KubeSecrets(client).create(manifest(data=VALUE))
    secret = kube.get("Secret", "orders-db") | {"apiVersion": "v1", "kind": "Secret"}
    recorder = KubeRecorder(client, instance="keyturn-0")
    task = asyncio.create_task(recorder.run())
    recorder.record(secret, warning=False, reason="SecretSynced", message="mirrored", action="Mirror")
    await eventually(lambda: kube.list("Event"), what="the event")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert clean(str(kube.list("Event")))
    assert clean(control_plane.kubectl("get", "events", "-n", namespace, "-o", "yaml").stdout)
