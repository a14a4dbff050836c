"""What is particular to access keys: whose they are, what may be deleted, and how late AWS learns of a change."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.iam.models import iam_backends
from tests.rotators.bench import APP
from tests.rotators.iam_access_key_bench import ACCOUNT, REGION, IamBench, StrictSts, iam_bench, refusal
from tests.support.docs import ROOT, blocks_of
from tests.support.iam import Call, judge, statements

from keyturn_lab.ports import free_port
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines import chooser
from keyturn_rotators.engines.iam_access_key import Overlap, overlap
from keyturn_rotators.engines.iam_access_key.record import Record
from keyturn_rotators.engines.iam_access_key.service import Listed, Service
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import ROTATION, Step
from keyturn_rotators.versions import PENDING, VersionMissing

OTHER_ACCOUNT = "222233334444"
PAGE = ROOT / "docs" / "rotators" / "iam-access-key.md"


@pytest.fixture
def bench() -> Iterator[IamBench]:
    with iam_bench() as bench:
        yield bench


def failure(bench: IamBench, step: Step, *, token: str | None = None) -> RotationError:
    with pytest.raises(RotationError) as failed:
        bench.step(step, token or bench.store.start(APP))
    told = f"{failed.value}{failed.value.check}"
    assert not [key for key in bench.iam.access_keys.values() if key.secret_access_key in told]
    assert failed.value.__suppress_context__ or failed.value.__context__ is None
    return failed.value


def key_id(credential: Credential) -> str:
    return credential.text("AccessKeyId")


def proposed(bench: IamBench) -> Credential:
    """What createSecret makes, where it dies before it stores it."""
    return Overlap(settle=0, sleep=lambda _: None).propose(bench.current, bench.context())


# keys that were made and lost


def test_a_key_that_was_made_and_could_not_be_stored_is_deleted_by_the_next_attempt(bench: IamBench) -> None:
    first, lost = bench.current, proposed(bench)
    assert bench.can_login(lost)
    bench.rotate()
    assert bench.keys.keys() == {key_id(first), key_id(bench.current)}


def test_the_key_of_a_rotation_that_was_given_up_is_deleted_by_the_next_even_though_it_was_tried(bench: IamBench) -> None:
    first = bench.current
    bench.steps(ROTATION[:3], bench.store.start(APP))
    bench.use(bench.pending, "sts")
    bench.rotate()
    assert bench.keys.keys() == {key_id(first), key_id(bench.current)}


def test_a_key_that_was_stored_a_moment_ago_and_is_not_to_be_read_yet_is_not_deleted(
    bench: IamBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    made, read, late = bench.pending, bench.store.read, iter([True, True])

    def lagging(secret: str, *, label: str | None = None, version: str | None = None) -> str:
        if label == PENDING and next(late, False):
            raise VersionMissing
        return read(secret, label=label, version=version)

    monkeypatch.setattr(bench.store, "read", lagging)
    bench.steps(ROTATION, token)
    assert bench.current == made
    assert bench.can_login(made)


# keys of others


def test_a_second_key_that_nobody_knows_is_left_alone_and_named(bench: IamBench) -> None:
    other = bench.made_by_hand()
    before = bench.keys
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.POLICY
    assert f"nothing says that {other.access_key_id} is this secret's" in str(error)
    assert f"aws iam get-access-key-last-used --access-key-id {other.access_key_id}" in error.check
    assert bench.keys == before


def test_a_key_that_somebody_made_later_is_not_taken_for_a_lost_one(bench: IamBench) -> None:
    first = bench.current
    bench.rotate()
    bench.edit(APP, comment="the version before is somebody's edit")
    bench.iam.delete_access_key(key_id(first), bench.user)
    bench.made_by_hand(age=-timedelta(minutes=1))
    before = bench.keys
    assert failure(bench, Step.CREATE).kind is Kind.POLICY
    assert bench.keys == before


def test_a_key_that_may_be_the_lost_one_and_is_in_use_is_left_alone(bench: IamBench) -> None:
    lost = proposed(bench)
    bench.use(lost, "s3")
    assert key_id(lost) in str(failure(bench, Step.CREATE))
    assert bench.can_login(lost)


def test_what_was_the_secrets_key_before_an_edit_by_hand_makes_room(bench: IamBench) -> None:
    first = bench.current
    bench.rotate()
    bench.copy_of_current()  # AWSPREVIOUS has the current key, too: only the record knows the first one
    bench.rotate()
    assert key_id(first) not in bench.keys


def test_a_key_is_deactivated_before_it_is_deleted(bench: IamBench) -> None:
    first, calls = bench.current, list[tuple[str, str]]()
    bench.on("provide-client-params.iam", lambda params, model, **_: calls.append((model.name, params.get("AccessKeyId", ""))))
    bench.rotate()
    bench.rotate()
    assert [name for name, about in calls if about == key_id(first)] == ["UpdateAccessKey", "DeleteAccessKey"]


# whose key it is


@pytest.mark.parametrize(("spoilt", "why"), [("Inactive", "InvalidClientTokenId"), ("wrong secret", "SignatureDoesNotMatch")])
def test_whoever_has_no_valid_key_gets_no_new_one(bench: IamBench, spoilt: str, why: str) -> None:
    if spoilt == "Inactive":
        bench.iam.update_access_key(bench.user, key_id(bench.current), "Inactive")
    else:
        bench.edit(APP, SecretAccessKey="of-nobody")
    before = bench.keys
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.AUTHENTICATION
    assert why in str(error)
    assert bench.keys == before


def test_a_user_of_the_same_name_in_another_account_is_not_rotated(bench: IamBench) -> None:
    there = iam_backends[OTHER_ACCOUNT]["aws"]
    there.create_user(REGION, bench.user)
    foreign = there.create_access_key(bench.user)
    bench.edit(APP, AccessKeyId=foreign.access_key_id, SecretAccessKey=foreign.secret_access_key)
    bench.off("before-send.sts", bench.sts)
    bench.on("before-send.sts", StrictSts(there))
    error = failure(bench, Step.CREATE)
    assert "does not list the current key among the user's" in str(error)
    assert OTHER_ACCOUNT in str(error)
    assert len(bench.keys) == 1


@pytest.mark.parametrize("field", ["UserName", "username"])
def test_a_name_that_is_not_the_keys_user_is_refused_unless_the_function_reads_no_name(bench: IamBench, field: str) -> None:
    value = json.loads(bench.store.value(APP))
    del value["UserName"]
    bench.store.values[APP][bench.current_version()] = json.dumps(value | {field: "somebody"})
    assert f"the field {field} is not the user whose key it is" in str(failure(bench, Step.CREATE))
    bench.environ["KEYTURN_USER_FIELD"] = ""
    bench.rotate()
    assert bench.can_login(bench.current)


def test_a_pending_version_with_another_users_key_is_refused(bench: IamBench) -> None:
    bench.iam.create_user(REGION, "admin")
    other = bench.iam.create_access_key("admin")
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label=PENDING, AccessKeyId=other.access_key_id, SecretAccessKey=other.secret_access_key)
    error = failure(bench, Step.SET, token=token)
    assert f"{other.access_key_id} is not among the user's keys" in str(error)


def test_a_pending_version_for_another_user_is_refused(bench: IamBench) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label=PENDING, UserName="admin")
    assert "pending version's UserName is not" in str(failure(bench, Step.SET, token=token))


def test_a_key_of_a_role_is_no_users(bench: IamBench) -> None:
    bench.edit(APP, AccessKeyId="AKIA-of-nobody")
    bench.off("before-send.sts", bench.sts)
    bench.on("before-send.sts", role_answers)
    assert "not an IAM user's" in str(failure(bench, Step.CREATE))


def role_answers(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/session"
    content = f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
    return refusal(request, content, status=200)


# how late AWS learns of it


def test_a_key_that_aws_learns_of_late_is_waited_for_and_so_is_its_end(bench: IamBench) -> None:
    bench.step(Step.TEST, bench.store.start(APP))  # the first key is known
    bench.sts.lag = 3
    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    bench.step(Step.RESTORE, old_version)
    assert bench.can_login(bench.version(old_version))


def test_a_new_key_that_iam_lists_late_is_waited_for(bench: IamBench, monkeypatch: pytest.MonkeyPatch) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    late, whole, new = itertools.count(), Service.listed, bench.pending.text("AccessKeyId")

    def listed(service: Service) -> list[Listed]:
        keys = whole(service)
        return keys if next(late) > 2 else [each for each in keys if each.id != new]

    monkeypatch.setattr(Service, "listed", listed)
    bench.step(Step.SET, token)
    assert next(late) > 2


def test_a_key_that_aws_does_not_learn_of_in_time_fails_the_step_and_nothing_else(bench: IamBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "SETTLED_WITHIN", 0.0)
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.sts.lag = 10**9
    error = failure(bench, Step.SET, token=token)
    assert error.kind is Kind.AUTHENTICATION
    assert f"{key_id(bench.pending)} is refused" in str(error)
    bench.sts.lag = 0
    bench.steps(ROTATION, token)
    assert bench.can_login(bench.current)


def test_a_key_that_is_still_taken_is_not_retired(bench: IamBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "SETTLED_WITHIN", 0.0)
    old_version = bench.current_version()
    bench.rotate()
    bench.sts.lag = 10**9
    error = failure(bench, Step.RETIRE, token=old_version)
    assert "is still taken" in str(error)


def test_a_new_key_is_given_time_to_be_known_everywhere(bench: IamBench) -> None:
    slept = list[float]()
    engine = Overlap(settle=10, sleep=slept.append)
    made = engine.propose(bench.current, bench.context())
    engine.apply(made, bench.context())
    assert len(slept) == 1
    assert 0 < slept[0] <= 10
    engine.apply(bench.current, bench.context())
    assert len(slept) == 1, "the current key is old enough"


def test_a_pending_key_that_somebody_has_deactivated_is_activated_again(bench: IamBench) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.iam.update_access_key(bench.user, key_id(bench.pending), "Inactive")
    bench.steps(ROTATION, token)
    assert bench.can_login(bench.current)


# retiring and restoring


def test_a_retired_key_is_inactive_and_the_next_rotation_deletes_it(bench: IamBench) -> None:
    first, old_version = bench.current, bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    assert bench.keys[key_id(first)] == "Inactive"
    bench.rotate()
    assert key_id(first) not in bench.keys


def test_a_key_that_is_deleted_is_retired_and_cannot_be_restored(bench: IamBench) -> None:
    first, old_version = bench.current, bench.current_version()
    bench.rotate()
    bench.iam.delete_access_key(key_id(first), bench.user)
    bench.step(Step.RETIRE, old_version)
    with pytest.raises(Unsupported, match="rotate instead"):
        bench.step(Step.RESTORE, old_version)


def test_a_key_whose_secret_is_not_the_versions_is_not_proved_to_be_retired(bench: IamBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    value = json.loads(bench.store.values[APP][old_version])
    other = bench.iam.create_user(REGION, "other")
    foreign = bench.iam.create_access_key(other.name)
    bench.store.values[APP][old_version] = json.dumps(value | {"AccessKeyId": foreign.access_key_id})
    assert "another secret" in str(failure(bench, Step.RETIRE, token=old_version))
    assert foreign.status == "Active"


# what the secret says


@pytest.mark.parametrize(
    ("key_name", "secret_name"),
    [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("aws_access_key_id", "aws_secret_access_key"),
        ("access_key_id", "secret_access_key"),
        ("accessKeyId", "secretAccessKey"),
        ("access_key", "secret_key"),
    ],
)
def test_a_key_is_rotated_under_the_names_that_the_secret_has(bench: IamBench, key_name: str, secret_name: str) -> None:
    first = bench.current
    value = {"engine": "iam-access-key", key_name: key_id(first), secret_name: first.text("SecretAccessKey")}
    bench.store.values[APP][bench.current_version()] = json.dumps(value)
    bench.rotate()
    rotated = json.loads(bench.store.value(APP))
    assert rotated.keys() == value.keys()
    assert bench.iam.access_keys[rotated[key_name]].secret_access_key == rotated[secret_name]


def test_a_key_under_two_names_is_rotated_under_both(bench: IamBench) -> None:
    bench.edit(APP, AWS_ACCESS_KEY_ID=key_id(bench.current), AWS_SECRET_ACCESS_KEY=bench.current.text("SecretAccessKey"))
    bench.rotate()
    assert bench.current.get("AWS_ACCESS_KEY_ID") == key_id(bench.current)
    assert bench.current.get("AWS_SECRET_ACCESS_KEY") == bench.current.get("SecretAccessKey")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"AWS_ACCESS_KEY_ID": "of-another", "AWS_SECRET_ACCESS_KEY": "other"}, "more than one access key"),
        ({"AccessKeyId": None}, "has no access key"),
        ({"SecretAccessKey": ""}, "SecretAccessKey is missing"),
    ],
)
def test_a_secret_without_one_certain_key_is_refused(bench: IamBench, fields: dict[str, object], what: str) -> None:
    value = json.loads(bench.store.value(APP)) | fields
    bench.store.values[APP][bench.current_version()] = json.dumps(value)
    assert what in str(failure(bench, Step.CREATE))


# IAM itself


def test_iam_out_of_reach_is_a_network_failure_that_names_what_a_vpc_lacks(bench: IamBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", f"http://127.0.0.1:{free_port()}")
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.NETWORK
    assert "NAT" in error.check


@pytest.mark.parametrize("action", ["ListAccessKeys", "TagUser", "CreateAccessKey"])
def test_a_right_that_is_missing_is_named(bench: IamBench, action: str) -> None:
    bench.on(f"before-send.iam.{action}", lambda request, **_: refusal(request, "AccessDenied"))
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.PERMISSION
    assert f"iam:{action}" in error.check
    assert bench.user in str(error)


def test_a_key_is_asked_for_once_even_where_no_answer_comes(bench: IamBench) -> None:
    asked = list[str]()

    def lost(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        asked.append(request.url)
        return refusal(request, "ServiceUnavailable", status=503)

    bench.on("before-send.iam.CreateAccessKey", lost)
    assert failure(bench, Step.CREATE).kind is Kind.SERVER
    assert len(asked) == 1


def test_the_policy_of_the_page_allows_what_is_called_and_no_more(bench: IamBench) -> None:
    calls = list[Call]()

    def record(params: dict[str, Any], model: Any, **_: object) -> None:
        user = params.get("UserName") or bench.iam.access_keys[params["AccessKeyId"]].user_name
        context = {"aws:tagkeys": params["Tags"][0]["Key"]} if "Tags" in params else {}
        calls.append(Call(action=f"iam:{model.name}", resource=f"arn:aws:iam::111122223333:user/{user}", context=context))

    bench.on("provide-client-params.iam", record)
    proposed(bench)
    for _ in range(2):
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old_version)
        bench.step(Step.RESTORE, old_version)
    page = [block.code.replace("user/app", f"user/{bench.user}") for block in blocks_of(PAGE) if '"Sid": "ReplaceKeys"' in block.code]
    policy = json.loads(page[0].replace("ForAllValues:StringLike", "StringLike"))  # the calls have one tag each
    verdict = judge([one for one in statements(policy) if "iam:" in "".join(one.actions)], calls)
    assert (verdict.refused, verdict.unused) == ((), ())


# the parts


def test_the_name_in_the_registry_leads_here() -> None:
    assert isinstance(chooser({})(Credential({"engine": "iam-access-key"})), Overlap)


def test_a_time_to_settle_that_is_no_number_is_refused() -> None:
    with pytest.raises(RotationError, match="KEYTURN_SETTLE_SECONDS is not a number"):
        Overlap.from_environment({"KEYTURN_SETTLE_SECONDS": "soon"})


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "ours"), [(-6, False), (-5, True), (0, True), (30, True), (31, False)])
def test_a_key_is_the_lost_one_within_seconds_of_its_record(seconds: int, ours: bool) -> None:
    assert Record(since=NOON, ids=()).made(NOON + timedelta(seconds=seconds)) is ours


def test_a_record_is_read_as_it_was_written_and_fits_into_a_tag() -> None:
    ids = tuple(f"AKIA{number:016}" for number in range(20))
    written = str(Record(since=NOON, ids=ids))
    read = Record.parse(written)
    assert len(written) <= 256
    assert read is not None
    assert read.since == NOON
    assert read.knows(ids[0])
    assert not read.knows(ids[-1])


@pytest.mark.parametrize("value", ["", "by hand", "2026-13-01 AKIA"])
def test_a_tag_that_somebody_else_wrote_says_nothing(value: str) -> None:
    assert Record.parse(value) is None
