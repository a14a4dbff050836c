"""Values without a back end, through the common suite: a verifier that reads the current version stands for one."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import ROTATION, Result, Step
from keyturn_rotators.versions import CURRENT, PENDING

MESSAGE = b"whatever is signed"
GENERATIONS = ("value", "previous", "next")


def signature(credential: Credential) -> bytes:
    """What an application signs with a version."""
    return hmac.digest(credential.text("value").encode(), MESSAGE, hashlib.sha256)


def accepts(verifier: Credential, signed: bytes) -> bool:
    """Whether an application that has read a version takes a signature: it tries every key that is there."""
    keys = [str(verifier.get(name)).encode() for name in GENERATIONS if verifier.get(name)]
    return any(hmac.compare_digest(hmac.digest(key, MESSAGE, hashlib.sha256), signed) for key in keys)


class RandomBench(Bench):
    """A secret, and verifiers that read its current version, and keep what they have where there is nothing to read."""

    credential_field = "value"

    def __init__(self, **environ: str) -> None:
        super().__init__(Life(), {"engine": "random", "value": "made-by-hand"})
        self.environ = environ
        self._known = self.current

    def can_login(self, credential: Credential) -> bool:
        with suppress(RotationError):
            self._known = self.current
        return accepts(self._known, signature(credential))


def made(**environ: str) -> Iterator[RandomBench]:
    yield RandomBench(**environ)


def announcing() -> Iterator[RandomBench]:
    """From the second version on there is a next value."""
    for bench in made(KEYTURN_NEXT_FIELD="next"):
        bench.rotate()
        assert bench.can_login(bench.current)
        bench.store.calls.clear()
        yield bench


class NothingToSet(EngineSuite):
    """Here the promotion is what makes a value valid, and set changes nothing."""

    def test_a_pending_credential_stays_the_same_when_steps_come_again(self, bench: Bench) -> None:
        token = bench.store.start(APP)
        bench.steps(ROTATION[:3], token)
        pending = bench.pending
        bench.steps(ROTATION, token)
        assert bench.current == pending
        assert bench.can_login(pending)

    def test_nothing_is_restored_while_a_rotation_is_in_flight(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.steps(ROTATION[:3], bench.store.start(APP))
        with pytest.raises(RotationError, match="AWSPENDING is on a version that is not current"):
            bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)


class TestPasswordAndThePreviousOne(NothingToSet):
    capabilities = frozenset({Capability.OVERLAP, Capability.RESTORE, Capability.PASSWORD})

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        yield from made(KEYTURN_FORMAT="password")


class TestAnnouncedAhead(NothingToSet):
    capabilities = frozenset({Capability.OVERLAP, Capability.RESTORE})

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        yield from announcing()

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.current == before
        assert bench.can_login(bench.pending), "the version before has announced it"

    def test_a_value_is_known_to_every_verifier_before_the_first_signer_uses_it(self, bench: Bench) -> None:
        for _ in range(3):
            before = bench.current
            bench.rotate()
            assert accepts(before, signature(bench.current))
            assert accepts(bench.current, signature(before))


@pytest.mark.parametrize(
    ("form", "decode"),
    [
        ("hex", bytes.fromhex),
        ("base64", base64.b64decode),
        ("base64url", lambda value: base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))),
    ],
)
def test_the_secret_says_how_its_value_is_made(form: str, decode: Callable[[str], bytes]) -> None:
    bench = RandomBench(KEYTURN_FORMAT="password", KEYTURN_BYTES="32")
    bench.edit(APP, format=form, bytes=64)
    bench.rotate()
    assert len(decode(bench.current.text("value"))) == 64
    assert bench.current.get("format") == form


def test_values_are_256_bits_and_never_the_same() -> None:
    bench = RandomBench()
    made = set()
    for _ in range(20):
        bench.rotate()
        made.add(bench.current.text("value"))
    assert len(made) == 20
    assert {len(value) for value in made} == {43}


def test_the_fields_have_the_names_that_the_function_is_given() -> None:
    bench = RandomBench(KEYTURN_VALUE_FIELD="signing_key", KEYTURN_PREVIOUS_FIELD="old_signing_key", KEYTURN_NEXT_FIELD="next_signing_key")
    bench.edit(APP, signing_key="made-by-hand", value="of something else")
    bench.rotate()
    first = bench.current
    bench.rotate()
    assert bench.current.get("signing_key") == first.get("next_signing_key")
    assert bench.current.get("old_signing_key") == first.get("signing_key")
    assert bench.current.get("value") == "of something else"


@pytest.mark.parametrize(
    ("environ", "fields", "what"),
    [
        ({"KEYTURN_FORMAT": "rsa"}, {}, "format is not known"),
        ({}, {"format": "rsa"}, "format is not known"),
        ({}, {"bytes": 15}, "not a number of bytes from 16"),
        ({}, {"bytes": "many"}, "not a number of bytes from 16"),
        ({"KEYTURN_BYTES": "4097"}, {}, "not a number of bytes from 16 to 4096"),
        ({"KEYTURN_PREVIOUS_FIELD": "value"}, {}, "would have one field"),
        ({"KEYTURN_VALUE_FIELD": "key"}, {}, "the field key is missing"),
    ],
)
def test_what_makes_no_value_of_use_is_refused(environ: dict[str, str], fields: dict[str, object], what: str) -> None:
    bench = RandomBench(**environ)
    bench.edit(APP, label=CURRENT, **fields)
    with pytest.raises(RotationError, match=what) as refused:
        bench.rotate()
    assert refused.value.kind is Kind.POLICY


@pytest.mark.parametrize(
    ("edited", "what"),
    [
        ({"previous": "of nobody"}, "pending version's previous is not"),
        ({"value": "made-by-hand"}, "pending version's value is not"),
        ({"value": "not in base64!"}, "value is not in the format base64url"),
    ],
)
def test_a_pending_value_that_somebody_else_wrote_is_refused(edited: dict[str, str], what: str) -> None:
    bench, before = RandomBench(), "made-by-hand"
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label=PENDING, **edited)
    with pytest.raises(RotationError, match=what) as refused:
        bench.step(Step.SET, token)
    assert before not in str(refused.value)


def test_a_pending_value_that_nobody_announced_is_refused() -> None:
    bench = RandomBench(KEYTURN_NEXT_FIELD="next")
    bench.rotate()
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label=PENDING, value="A" * 43)
    with pytest.raises(RotationError, match="pending version's value is not"):
        bench.step(Step.SET, token)


def test_a_value_is_retired_once_no_verifier_of_the_current_version_knows_it() -> None:
    bench = RandomBench()
    first, before = bench.current_version(), bench.current
    bench.rotate()
    with pytest.raises(Unsupported, match="carries it as previous"):
        bench.step(Step.RETIRE, first)
    bench.rotate()
    assert bench.step(Step.RETIRE, first) is Result.DONE
    assert not bench.can_login(before)


def test_without_a_previous_field_a_value_is_retired_by_its_promotion() -> None:
    bench = RandomBench(KEYTURN_PREVIOUS_FIELD="")
    first, before = bench.current_version(), bench.current
    bench.rotate()
    assert bench.current.get("previous") is None
    assert bench.step(Step.RETIRE, first) is Result.DONE
    assert not bench.can_login(before)


def test_a_version_that_was_rolled_back_to_is_not_retired_by_what_it_announced() -> None:
    bench = RandomBench(KEYTURN_NEXT_FIELD="next")
    bench.rotate()
    first = bench.current_version()
    second = bench.rotate()
    bench.promote(first)
    with pytest.raises(Unsupported, match="announces it as next"):
        bench.step(Step.RETIRE, second)
