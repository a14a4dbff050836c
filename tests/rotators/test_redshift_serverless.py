"""The admin of a namespace of Redshift Serverless through the common suite: AWS's API as its own models have it, the stand-in for logins.

The API is a stand-in at botocore's boundary, by the same hooks as botocore's Stubber: requests and answers are held to AWS's models.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import create_loader
from botocore.session import get_session
from botocore.validate import validate_parameters
from tests.rotators.bench import APP, COMMON, Bench
from tests.rotators.redshift_bench import PAGE, PASSWORD, StandInBench, stand_in
from tests.rotators.suite import EngineSuite
from tests.support.iam import Call, judge, statements

from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

NAMESPACE = "orders-namespace"
ARNS = {NAMESPACE: "arn:aws:redshift-serverless:eu-west-1:111122223333:namespace/11111111-2222-4333-8444-555555555555"}
OF_A_NAMESPACE = (
    "GetNamespace",
    "UpdateNamespace",
)  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftserverless.html
LOOKS = 2  # until a change is through
LOADER = create_loader()  # the model of the service is read once


class Api:
    """Redshift Serverless's API for one namespace with one workgroup."""

    def __init__(self, bench: StandInBench) -> None:
        self._bench = bench
        self.namespace = {"namespaceName": NAMESPACE, "adminUsername": bench.app, "status": "AVAILABLE"}
        self.host = bench.server.host
        self.refusals: dict[str, list[str]] = {}  # codes to answer an operation with before it is done
        self.calls: list[str] = []
        self.asked_for: list[Call] = []  # the same calls, as IAM sees them
        self.set_passwords = True  # whether the workgroup learns of them
        self._params: dict[str, Any] = {}
        self._password: str | None = None
        self._looks = 0

    def session(self) -> boto3.Session:
        """A session whose clients reach this and nothing else."""
        core = get_session()
        core.register_component("data_loader", LOADER)
        session = boto3.Session(
            aws_access_key_id="testing", aws_secret_access_key="testing", region_name="eu-west-1", botocore_session=core
        )
        session.events.register("before-parameter-build.redshift-serverless", self._asked)
        answer = cast("Callable[..., None]", self._answer)  # what botocore's stubs say of all hooks; it takes the answer of this one
        session.events.register("before-call.redshift-serverless", answer)
        return session

    def _asked(self, params: dict[str, Any], **_: object) -> None:
        self._params = dict(params)

    def _answer(self, model: Any, **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        self._bench.life.request()
        self.calls.append(model.name)
        namespace = ARNS.get(self._params.get("namespaceName", ""), "*") if model.name in OF_A_NAMESPACE else "*"
        self.asked_for.append(Call(action=f"redshift-serverless:{model.name}", resource=namespace))
        if self.refusals.get(model.name):
            return self._refused(self.refusals[model.name].pop(0))
        if model.name != "ListWorkgroups" and self._params["namespaceName"] != NAMESPACE:
            return self._refused("ResourceNotFoundException")
        answer = {"GetNamespace": self._get, "ListWorkgroups": self._workgroups, "UpdateNamespace": self._update}[model.name]()
        if answer is None:
            return self._refused("ConflictException")
        validate_parameters(answer, model.output_shape)
        return AWSResponse("", 200, HTTPHeaders(), None), answer | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def _get(self) -> dict[str, Any]:
        self._looks = max(0, self._looks - 1)
        if not self._looks and self._password is not None:
            self._bench.run(f"ALTER USER {self._bench.app} PASSWORD '{self._password}'")
            self._password = None
        return {"namespace": self.namespace | {"status": "MODIFYING" if self._looks else "AVAILABLE"}}

    def _workgroups(self) -> dict[str, Any]:
        """Two pages: the first has another namespace's workgroup."""
        if not self._params.get("nextToken"):
            other = {"workgroupName": "other", "namespaceName": "others", "endpoint": {"address": "other.example.com"}}
            return {"workgroups": [other], "nextToken": "more"}
        return {"workgroups": [{"workgroupName": "orders", "namespaceName": NAMESPACE, "endpoint": {"address": self.host}}]}

    def _update(self) -> dict[str, Any] | None:
        if self._looks:
            return None
        assert set(self._params) == {"namespaceName", "adminUsername", "adminUserPassword"}
        self._looks = LOOKS
        if self.set_passwords:
            self._password = self._params["adminUserPassword"]
        return {"namespace": self.namespace | {"status": "MODIFYING"}}

    def _refused(self, code: str) -> tuple[AWSResponse, dict[str, Any]]:
        error = {"Code": code, "Message": f"refused: {self._params}"}  # AWS's words may quote what was sent
        return AWSResponse("", 400, HTTPHeaders(), None), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}


@pytest.fixture
def bench(redshift: RedshiftStandIn) -> Iterator[StandInBench]:
    with stand_in(redshift) as made:
        made.environ |= {"KEYTURN_ENGINE": "redshift-serverless", "KEYTURN_POLL_SECONDS": "0.001"}
        made.edit(APP, namespaceName=NAMESPACE)
        yield made


@pytest.fixture
def api(bench: StandInBench, monkeypatch: pytest.MonkeyPatch) -> Api:
    api = Api(bench)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", api.session())
    return api


class TestNamespaceAdmin(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, redshift: RedshiftStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        with stand_in(redshift) as made:
            made.environ |= {"KEYTURN_ENGINE": "redshift-serverless", "KEYTURN_POLL_SECONDS": "0.001"}
            made.edit(APP, namespaceName=NAMESPACE)
            monkeypatch.setattr(boto3, "DEFAULT_SESSION", Api(made).session())
            made.strides = (2, 3)  # every request to the server is met by SingleUser of test_redshift.py
            yield made


def test_a_rotation_changes_the_namespace_once_and_makes_the_calls_that_the_pages_policy_allows_and_no_other(
    bench: StandInBench, api: Api
) -> None:
    bench.rotate()
    assert api.calls.count("UpdateNamespace") == 1
    section = PAGE.read_text().partition("### The function's IAM policy for the API")[2]
    shown = section.partition("```json\n")[2].partition("```")[0]
    verdict = judge(statements(shown), api.asked_for)
    assert (verdict.refused, verdict.unused) == ((), ())
    others = judge(statements(shown.replace("namespace/1111", "namespace/9999")), api.asked_for)
    assert {call.action for call in others.refused} == {f"redshift-serverless:{name}" for name in OF_A_NAMESPACE}


def test_only_the_namespaces_admin_is_changed(bench: StandInBench, api: Api) -> None:
    api.namespace["adminUsername"] = "somebody-else"
    assert "not the namespace's admin" in str(bench.failure_of_set())
    assert "UpdateNamespace" not in api.calls


def test_an_admin_whose_password_aws_keeps_is_left_to_aws(bench: StandInBench, api: Api) -> None:
    api.namespace["adminPasswordSecretArn"] = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:redshift!orders"
    assert "AWS keeps" in str(bench.failure_of_set())
    assert "UpdateNamespace" not in api.calls


def test_a_host_of_another_namespace_is_refused(bench: StandInBench, api: Api) -> None:
    api.host = "orders.example.com"
    error = bench.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "not one of the namespace" in error.what
    assert "UpdateNamespace" not in api.calls


def test_a_secret_whose_password_is_not_the_admins_changes_nothing(bench: StandInBench, api: Api) -> None:
    bench.edit(APP, password="Guessed-by-somebody-1")
    assert bench.failure_of_set().kind is Kind.AUTHENTICATION
    assert "UpdateNamespace" not in api.calls


def test_another_change_of_the_namespace_is_waited_for(bench: StandInBench, api: Api) -> None:
    api.refusals["UpdateNamespace"] = ["ConflictException", "ConflictException"]
    bench.rotate()
    assert api.calls.count("UpdateNamespace") == 3
    assert bench.can_login(bench.current)


def test_a_namespace_that_stays_busy_fails_within_the_steps_limit(bench: StandInBench, api: Api) -> None:
    bench.environ["KEYTURN_POLL_SECONDS"] = "0.05"
    api.refusals["UpdateNamespace"] = ["ConflictException"] * 10_000
    error = bench.failure_of_set(within=3.0)
    assert error.kind in (Kind.SERVER, Kind.NETWORK)
    assert bench.can_login(bench.current)


def test_a_password_that_the_workgroup_does_not_take_in_time_is_told(
    bench: StandInBench, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn_rotators.engines.redshift_serverless.single.SETTLED_WITHIN", 0.2)
    api.set_passwords = False
    assert "the workgroup does not take it" in str(bench.failure_of_set())


@pytest.mark.parametrize(
    ("operation", "code", "kind"),
    [
        ("GetNamespace", "AccessDeniedException", Kind.PERMISSION),
        ("ListWorkgroups", "AccessDeniedException", Kind.PERMISSION),
        ("UpdateNamespace", "AccessDeniedException", Kind.PERMISSION),
        ("UpdateNamespace", "ValidationException", Kind.POLICY),
        ("UpdateNamespace", "InternalServerException", Kind.SERVER),
    ],
)
def test_awss_refusal_is_told_by_its_code_and_without_what_was_sent(
    bench: StandInBench, api: Api, operation: str, code: str, kind: Kind
) -> None:
    api.refusals[operation] = [code] * 10
    error = bench.failure_of_set()
    assert error.kind is kind
    assert f"{operation} was answered with {code}" in str(error)
    assert bench.can_login(bench.current)


def test_a_namespace_that_is_not_there_is_told(bench: StandInBench, api: Api) -> None:
    bench.edit(APP, namespaceName="gone")
    assert "ResourceNotFoundException" in str(bench.failure_of_set())


def test_a_secret_without_a_namespace_is_refused_before_a_version_is_written(bench: StandInBench, api: Api) -> None:
    bench.edit(APP, namespaceName=None)
    with pytest.raises(RotationError, match="namespaceName is missing"):
        bench.step(Step.CREATE, bench.store.start(APP))


def test_a_pending_version_of_another_namespace_is_refused(bench: StandInBench, api: Api) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label="AWSPENDING", namespaceName="others")
    with pytest.raises(RotationError, match="namespaceName"):
        bench.step(Step.SET, token)
    assert api.calls == []


@pytest.mark.parametrize("step", [Step.RETIRE, Step.RESTORE])
def test_an_older_version_of_another_namespace_is_left_alone(bench: StandInBench, api: Api, step: Step) -> None:
    old = bench.current_version()
    bench.rotate()
    bench.store.values[APP][old] = bench.version(old).replaced(namespaceName="others").to_json()
    api.calls.clear()
    with pytest.raises(RotationError, match="namespaceName"):
        bench.step(step, old)
    assert "UpdateNamespace" not in api.calls


def test_the_time_between_two_looks_must_be_a_number(bench: StandInBench, api: Api) -> None:
    bench.environ["KEYTURN_POLL_SECONDS"] = "often"
    with pytest.raises(RotationError, match=re.escape("KEYTURN_POLL_SECONDS is not a number")):
        bench.rotate()
    assert bench.current.password == PASSWORD
