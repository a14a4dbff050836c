"""ElastiCache and MemoryDB through the common suite, at a stand-in for AWS's APIs in front of a real Redis."""

import json
import re
from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.elasticache_bench import COMMON, ElastiCacheBench, elasticache_bench
from tests.rotators.suite import EngineSuite
from tests.support.docs import ROOT, blocks_of
from tests.support.iam import Statement, judge, statements

from keyturn_lab.backends.redis import Redis
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

PAGE = ROOT / "docs" / "rotators" / "elasticache.md"


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as running:
        yield running


class TestElastiCacheWithAHost(EngineSuite):
    capabilities = COMMON | {Capability.HOST}

    @pytest.fixture
    def bench(self, server: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        with elasticache_bench(server, monkeypatch, host=True) as bench:
            yield bench


class TestMemoryDbAsAwsDocumentsItsSecrets(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, server: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        with elasticache_bench(server, monkeypatch, service="memorydb", host=False) as bench:
            yield bench


@pytest.fixture
def bench(server: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[ElastiCacheBench]:
    """As AWS documents the secret: without a host."""
    with elasticache_bench(server, monkeypatch, host=False) as bench:
        yield bench


def failure(bench: ElastiCacheBench, step: Step = Step.SET) -> RotationError:
    token = bench.store.start(APP)
    if step is Step.SET:
        bench.step(Step.CREATE, token)
    with pytest.raises(RotationError) as failed:
        bench.step(step, token)
    assert all(password not in str(failed.value) for password in (bench.current.password, *bench.aws.passwords))
    return failed.value


def test_a_rotation_describes_and_modifies_the_user_and_nothing_else(bench: ElastiCacheBench) -> None:
    bench.rotate()
    assert set(bench.aws.calls) == {"DescribeUsers", "ModifyUser"}
    assert bench.aws.calls.count("ModifyUser") == 1


@pytest.mark.parametrize("service", ["elasticache", "memorydb"])
def test_the_policy_of_the_page_allows_for_that_one_user_what_is_called_and_no_more(
    service: str, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with elasticache_bench(server, monkeypatch, service=service, host=False) as bench:
        old = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old)
        bench.step(Step.RESTORE, old)
        verdict = judge(policy_of_the_page(service, user=bench.user), bench.aws.asked_for)
    assert (verdict.refused, verdict.unused) == ((), ())
    others = judge(policy_of_the_page(service, user="somebody-else"), bench.aws.asked_for)
    assert others.refused == tuple(bench.aws.asked_for)


def policy_of_the_page(service: str, *, user: str) -> list[Statement]:
    """ElastiCache's as it is shown; MemoryDB's with the actions and the resource of the sentence below it."""
    policy = json.loads(next(block.code for block in blocks_of(PAGE) if '"Sid": "ChangeUser"' in block.code))
    if service == "memorydb":
        [sentence] = [line for line in PAGE.read_text().splitlines() if line.startswith("For MemoryDB")]
        *actions, resource = re.findall(r"`([^`]+)`", sentence)
        policy["Statement"][0] |= {"Action": actions, "Resource": resource}
    [statement] = policy["Statement"]
    statement["Resource"] = statement["Resource"].replace("111122223333", "123456789012").removesuffix("app") + user
    return statements(policy)


def test_retiring_an_older_version_leaves_the_previous_ones_password(bench: ElastiCacheBench) -> None:
    first = bench.current_version()
    second = bench.rotate()
    bench.rotate()
    bench.step(Step.RETIRE, first)
    assert bench.can_login(bench.version(second))
    bench.step(Step.RETIRE, second)
    bench.step(Step.RETIRE, first)
    assert bench.aws.passwords == [bench.current.password]


def test_a_secret_without_a_password_gets_its_first(bench: ElastiCacheBench) -> None:
    bench.edit(APP, password=None)
    bench.rotate()
    assert bench.aws.passwords == [bench.current.password]


def test_a_function_that_is_for_another_user_changes_nothing(bench: ElastiCacheBench) -> None:
    bench.environ["USER_NAME"] = "somebody-else"
    assert "USER_NAME" in failure(bench, Step.CREATE).check


def test_a_function_that_is_for_another_secret_changes_nothing(bench: ElastiCacheBench) -> None:
    bench.environ["SECRET_ARN"] = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:other"
    assert "SECRET_ARN" in failure(bench, Step.CREATE).check


@pytest.mark.parametrize("arn", ["app", "arn:aws:iam::123456789012:user/app", "arn:aws:elasticache:eu-west-1:123456789012:usergroup:app"])
def test_what_is_not_the_arn_of_such_a_user_is_refused(bench: ElastiCacheBench, arn: str) -> None:
    bench.edit(APP, user_arn=arn)
    assert failure(bench).kind is Kind.POLICY


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", Kind.PERMISSION),
        ("UserNotFound", Kind.POLICY),
        ("InvalidParameterValue", Kind.POLICY),
        ("InvalidUserState", Kind.SERVER),
    ],
)
def test_awss_refusal_is_told_by_its_code_and_without_what_was_sent(bench: ElastiCacheBench, code: str, kind: Kind) -> None:
    bench.aws.refusal = code
    error = failure(bench)
    assert error.kind is kind
    assert code in str(error)


@pytest.mark.parametrize("authentication", ["iam", "no-password"])
def test_a_user_without_passwords_is_not_given_any(bench: ElastiCacheBench, authentication: str) -> None:
    bench.aws.authentication = authentication
    assert failure(bench).kind is Kind.POLICY
    assert "ModifyUser" not in bench.aws.calls


def test_with_a_host_a_secret_whose_password_is_not_the_users_changes_nothing(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with elasticache_bench(server, monkeypatch, host=True) as bench:
        bench.edit(APP, password="guessed-by-somebody")
        assert failure(bench).kind is Kind.AUTHENTICATION
        assert "ModifyUser" not in bench.aws.calls
