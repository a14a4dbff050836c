"""What goes wrong between a rotator and a provider of keys, and what is left of it: over TLS, by the lab's switches."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rotators.bench import APP, SUPERUSER, WITHIN
from tests.rotators.http_api_key_bench import HttpApiKeyBench, impatient
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.http_provider import Fault, HttpProvider
from keyturn_lab.ports import free_port
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.http_api_key import Overlap
from keyturn_rotators.engines.http_api_key.calls import SPARE
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Request, Rotation, Step
from keyturn_rotators.versions import PENDING

REQUESTS_OF_CREATE = 3  # try the current key, list, make


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpProvider]:
    with HttpProvider() as running:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(running.bundle))
        yield running


@pytest.fixture
def bench(provider: HttpProvider) -> HttpApiKeyBench:
    return HttpApiKeyBench(provider, Life())


@pytest.fixture
def impatient_bench(provider: HttpProvider, tmp_path: Path) -> HttpApiKeyBench:
    return HttpApiKeyBench(provider, Life(), file=impatient(tmp_path))


def failure(bench: HttpApiKeyBench, step: Step, token: str, *, within: float = WITHIN) -> RotationError:
    with pytest.raises(RotationError) as failed:
        bench.step(step, token, within=within)
    told = f"{failed.value}{failed.value.check}"
    values = [bench.provider.admin_token, bench.first.secret, *(key.secret for key in bench.keys)]
    assert not [value for value in values if value in told]
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__ or failed.value.__context__ is None
    return failed.value


def labels(bench: HttpApiKeyBench) -> list[str]:
    return [key.name for key in bench.keys]


def holds_exactly(bench: HttpApiKeyBench, *secrets: str) -> bool:
    return sorted(key.secret for key in bench.keys) == sorted(secrets)


# keys that were made and lost


@pytest.mark.parametrize("number", range(REQUESTS_OF_CREATE))
def test_no_key_is_left_over_when_the_answer_to_any_request_of_create_is_lost(bench: HttpApiKeyBench, number: int) -> None:
    token = bench.store.start(APP)
    bench.provider.faults.dies_after = bench.provider.faults.requests + number
    assert failure(bench, Step.CREATE, token).kind is Kind.NETWORK
    bench.provider.faults.dies_after = None
    bench.steps(ROTATION, token)
    assert holds_exactly(bench, bench.first.secret, bench.current.text("api_key"))


def test_a_key_that_was_made_and_could_not_be_stored_is_revoked_by_the_next_attempt(bench: HttpApiKeyBench) -> None:
    token = bench.store.start(APP)
    lost = bench.engine().propose(bench.current, bench.context())
    assert bench.can_login(lost)
    bench.steps(ROTATION, token)
    assert not bench.can_login(lost)
    assert holds_exactly(bench, bench.first.secret, bench.current.text("api_key"))


def test_the_key_of_a_rotation_that_was_given_up_is_revoked_by_the_next(bench: HttpApiKeyBench) -> None:
    bench.steps(ROTATION[:2], bench.store.start(APP))
    given_up = bench.pending
    bench.rotate()
    assert not bench.can_login(given_up)
    assert holds_exactly(bench, bench.first.secret, bench.current.text("api_key"))


def test_a_key_that_was_rolled_back_and_may_be_in_use_is_no_lost_one(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    new_version = bench.rotate()
    rolled_back = bench.current
    bench.store.promote(APP, token=old_version, from_version=new_version)
    bench.rotate()
    assert bench.can_login(rolled_back)


def test_keys_of_others_that_look_alike_are_left_alone(bench: HttpApiKeyBench) -> None:
    bench.rotate()
    ours = labels(bench)[-1]
    assert ours.startswith("keyturn-app-")
    other = bench.provider.create_key(bench.account, name=ours[:-1])
    bench.rotate()
    assert bench.provider.accepts(other.secret)


def test_what_is_older_than_the_previous_version_stays_unless_the_function_says_otherwise(bench: HttpApiKeyBench) -> None:
    keys = [bench.current]
    for _ in range(3):
        bench.rotate()
        keys.append(bench.current)
    assert all(bench.can_login(key) for key in keys)
    bench.environ["KEYTURN_REVOKE_SUPERSEDED"] = "true"
    bench.rotate()
    by_hand, older, previous, current = keys
    assert not bench.can_login(older)
    assert all(bench.can_login(key) for key in (by_hand, previous, current, bench.current))


def test_a_list_of_several_pages_is_read_to_its_end(bench: HttpApiKeyBench) -> None:
    for number in range(45):
        bench.provider.create_key(bench.account, name=f"other {number}")
    lost = bench.engine().propose(bench.current, bench.context())
    bench.rotate()
    assert not bench.can_login(lost)


# limits, delays and failures of the provider


def test_at_the_limit_the_ids_of_the_keys_are_told_and_nothing_is_changed(bench: HttpApiKeyBench) -> None:
    other = bench.provider.create_key(bench.account)
    bench.provider.faults.key_limit = 2
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.POLICY
    assert f"{bench.first.id}, {other.id}" in str(error)
    assert "the limit of 2 keys is reached" in str(error)
    assert len(bench.keys) == 2


@pytest.mark.parametrize("delay", [0.3, 1.2])
def test_a_new_key_that_is_accepted_only_after_a_while_is_waited_for(bench: HttpApiKeyBench, delay: float) -> None:
    bench.provider.faults.accepted_after = delay
    bench.rotate()
    assert bench.can_login(bench.current)


def test_a_new_key_that_is_never_accepted_fails_within_the_time_that_the_provider_may_take(impatient_bench: HttpApiKeyBench) -> None:
    impatient_bench.provider.faults.accepted_after = 3600.0
    token = impatient_bench.store.start(APP)
    impatient_bench.step(Step.CREATE, token)
    error = failure(impatient_bench, Step.SET, token)
    assert error.kind is Kind.AUTHENTICATION
    assert impatient_bench.pending.text("key_id") in str(error)


def test_a_new_key_that_is_listed_only_after_a_while_is_waited_for(bench: HttpApiKeyBench) -> None:
    bench.provider.faults.listed_after = 1.0
    bench.rotate()
    assert bench.can_login(bench.current)


def test_a_revoked_key_that_is_accepted_for_a_while_is_waited_for(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.provider.faults.refused_after = 1.0
    bench.step(Step.RETIRE, old_version)
    assert not bench.can_login(bench.version(old_version))


def test_a_revoked_key_that_is_still_accepted_is_not_called_retired_until_it_is_refused(impatient_bench: HttpApiKeyBench) -> None:
    old_version = impatient_bench.current_version()
    impatient_bench.rotate()
    impatient_bench.provider.faults.refused_after = 3600.0
    assert "still accepted" in str(failure(impatient_bench, Step.RETIRE, old_version))
    impatient_bench.provider.revoke(impatient_bench.first.id)
    impatient_bench.step(Step.RETIRE, old_version)
    assert not impatient_bench.can_login(impatient_bench.version(old_version))


def waits(bench: HttpApiKeyBench, step: Step, token: str, *, within: float = WITHIN) -> list[float]:
    """Do a step with a clock that only pauses move. Returns the pauses."""
    pauses: list[float] = []
    engine = Overlap(provider_file=bench.environ["KEYTURN_PROVIDER_FILE"], sleep=pauses.append)
    Rotation(bench.store, lambda _: engine, deadline=Deadline.after(within)).run(Request(step=step, secret=APP, token=token))
    return pauses


@pytest.mark.parametrize(("status", "retry_after", "pause"), [(429, "7", 7.0), (429, None, 0.5), (503, "3", 3.0)])
def test_a_provider_that_asks_for_time_gets_it(bench: HttpApiKeyBench, status: int, retry_after: str | None, pause: float) -> None:
    bench.provider.faults.planned.append(Fault(status=status, retry_after=retry_after))
    assert waits(bench, Step.CREATE, bench.store.start(APP)) == [pause]


def test_retry_after_may_be_a_date(bench: HttpApiKeyBench) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 40))
    bench.provider.faults.planned.append(Fault(status=429, retry_after=date))
    (pause,) = waits(bench, Step.CREATE, bench.store.start(APP))
    assert 0 < pause <= 40


def test_a_provider_that_asks_for_more_time_than_there_is_fails_the_step_at_once_and_says_so(bench: HttpApiKeyBench) -> None:
    bench.provider.faults.planned.append(Fault(status=429, retry_after="120"))
    started = time.monotonic()
    error = failure(bench, Step.CREATE, bench.store.start(APP), within=30.0)
    assert time.monotonic() - started < 30.0 - SPARE
    assert error.kind is Kind.SERVER
    assert "asks to wait 120 s" in str(error)


def test_making_a_key_is_not_repeated_after_a_failure_that_may_have_made_one(bench: HttpApiKeyBench) -> None:
    bench.provider.faults.planned.extend([None, None, Fault(status=503, done=True)])
    token = bench.store.start(APP)
    assert failure(bench, Step.CREATE, token).kind is Kind.SERVER
    assert len(bench.keys) == 2
    bench.steps(ROTATION, token)
    assert holds_exactly(bench, bench.first.secret, bench.current.text("api_key"))


def test_a_provider_that_hangs_fails_the_step_within_its_limit(bench: HttpApiKeyBench) -> None:
    bench.provider.faults.planned.append(Fault(hang=True))
    error = failure(bench, Step.CREATE, bench.store.start(APP), within=1.0)
    assert error.kind is Kind.NETWORK


def test_a_provider_that_is_down_is_a_network_failure(bench: HttpApiKeyBench) -> None:
    bench.edit(SUPERUSER, url=f"https://127.0.0.1:{free_port()}")
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.NETWORK


# proofs


@pytest.mark.parametrize("status", [500, 403, 404])
def test_a_failure_is_no_proof_that_the_old_key_is_refused(bench: HttpApiKeyBench, status: int) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.provider.faults.planned.append(Fault(status=status))
    failure(bench, Step.RETIRE, old_version)
    assert bench.can_login(bench.version(old_version))


def test_a_refusal_that_meets_the_current_key_too_is_no_proof(impatient_bench: HttpApiKeyBench) -> None:
    old_version = impatient_bench.current_version()
    impatient_bench.rotate()
    impatient_bench.provider.faults.planned.extend([Fault(status=401)] * 50)  # somebody between them refuses everybody
    assert "proves nothing" in str(failure(impatient_bench, Step.RETIRE, old_version))
    assert impatient_bench.can_login(impatient_bench.version(old_version))


def test_a_key_that_somebody_has_revoked_by_hand_is_retired(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.provider.revoke(bench.first.id)
    bench.step(Step.RETIRE, old_version)


def test_a_pending_key_that_somebody_has_revoked_fails_with_what_to_do(impatient_bench: HttpApiKeyBench) -> None:
    token = impatient_bench.store.start(APP)
    impatient_bench.step(Step.CREATE, token)
    impatient_bench.provider.revoke(impatient_bench.pending.text("key_id"))
    assert "remove the label AWSPENDING" in failure(impatient_bench, Step.SET, token).check


def test_a_current_key_that_is_refused_is_not_rotated(bench: HttpApiKeyBench) -> None:
    bench.provider.revoke(bench.first.id)
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.AUTHENTICATION
    assert bench.keys == []


# who may have what rotated


def test_a_key_that_the_secret_only_names_is_not_rotated(bench: HttpApiKeyBench) -> None:
    bench.edit(APP, key_id=bench.provider.create_key(bench.account, scopes=["everything"]).id)
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.POLICY
    assert "key_id is not what the provider says of the key" in str(error)
    assert len(bench.keys) == 2


def test_no_key_is_made_in_an_account_that_the_secret_only_names(bench: HttpApiKeyBench) -> None:
    bench.provider.create_key("other")
    bench.edit(APP, account="other")
    assert "account is not what" in str(failure(bench, Step.CREATE, bench.store.start(APP)))
    assert len(bench.provider.keys("other")) == 1


@pytest.mark.parametrize("fields", [{"account": "other"}, {"provider": "datadog-api-key"}, {"masterarn": "another"}])
def test_a_pending_version_that_leads_elsewhere_is_not_set(bench: HttpApiKeyBench, fields: dict[str, object]) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label=PENDING, **fields)
    assert next(iter(fields)) in str(failure(bench, Step.SET, token))


def test_an_old_version_that_names_the_current_key_is_not_retired(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    value = json.loads(bench.store.values[APP][old_version])
    bench.store.values[APP][old_version] = json.dumps(value | {"key_id": bench.current.text("key_id")})
    failure(bench, Step.RETIRE, old_version)
    assert bench.can_login(bench.current)


def test_an_old_version_that_names_another_key_revokes_none(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    other = bench.provider.create_key(bench.account)
    value = json.loads(bench.store.values[APP][old_version])
    bench.store.values[APP][old_version] = json.dumps(value | {"key_id": other.id})
    assert "key_id" in str(failure(bench, Step.RETIRE, old_version))
    assert bench.provider.accepts(other.secret)


def test_an_administrator_of_another_provider_is_sent_nowhere(bench: HttpApiKeyBench) -> None:
    bench.edit(SUPERUSER, provider="another")
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert '"provider": "acme"' in error.check
    assert bench.provider.log == []


def test_an_administrator_who_is_refused_is_told_by_its_secret(bench: HttpApiKeyBench) -> None:
    bench.spoil_superuser()
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.AUTHENTICATION
    assert f"secret {SUPERUSER}" in str(error)


def test_a_redirect_is_not_followed(bench: HttpApiKeyBench) -> None:
    with HttpProvider(tls=False) as elsewhere:
        bench.provider.faults.planned.append(Fault(status=307, location=f"{elsewhere.url}/v1/whoami"))
        error = failure(bench, Step.CREATE, bench.store.start(APP))
        assert error.kind is Kind.POLICY
        assert elsewhere.log == []


# TLS


def test_a_provider_of_an_authority_that_is_not_known_gets_no_key(bench: HttpApiKeyBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_CA_BUNDLE")
    error = failure(bench, Step.CREATE, bench.store.start(APP))
    assert error.kind is Kind.TLS
    assert "KEYTURN_CA_BUNDLE" in error.check
    assert bench.provider.log == []


def test_a_certificate_for_another_name_is_refused(bench: HttpApiKeyBench) -> None:
    bench.edit(SUPERUSER, url=bench.provider.url.replace("127.0.0.1", "localhost"))
    assert failure(bench, Step.CREATE, bench.store.start(APP)).kind is Kind.TLS


def test_a_url_without_tls_is_refused_unless_the_secret_asks_for_it(bench: HttpApiKeyBench) -> None:
    with HttpProvider(tls=False) as plain:
        bench.edit(SUPERUSER, url=plain.url)
        error = failure(bench, Step.CREATE, bench.store.start(APP))
        assert error.kind is Kind.TLS
        assert '"ssl": false' in error.check
        assert plain.log == []


def test_the_secret_may_call_its_key_as_the_app_does(bench: HttpApiKeyBench) -> None:
    value = json.loads(bench.store.value(APP))
    value["ACME_KEY"] = value.pop("api_key")
    bench.store.values[APP][bench.current_version()] = json.dumps(value)
    bench.environ["KEYTURN_KEY_FIELD"] = "ACME_KEY"
    old_version = bench.current_version()
    bench.rotate()
    assert bench.provider.accepts(bench.current.text("ACME_KEY"))
    assert bench.current.get("api_key") is None
    bench.step(Step.RETIRE, old_version)
    assert not bench.provider.accepts(bench.first.secret)


def test_the_new_key_may_do_what_the_old_one_may(bench: HttpApiKeyBench) -> None:
    bench.rotate()
    assert [key.scopes for key in bench.keys] == [["read", "write"]] * 2
