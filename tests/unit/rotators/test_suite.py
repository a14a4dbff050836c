"""The common suite itself: which cases an engine gets by what it declares."""

import pytest
from tests.rotators.bench import Capability
from tests.rotators.suite import EngineSuite

RETIRED = "test_a_retired_credential_is_refused_and_the_current_one_is_not"
UNSUPPORTED = "test_retiring_is_answered_as_unsupported"
ALWAYS = "test_a_rotation_makes_another_credential_current_and_valid"


class Nothing(EngineSuite):
    """Declares nothing."""


class Retires(Nothing):
    """Below a class that declares nothing."""

    capabilities = frozenset({Capability.RETIRE})


class Own(Retires):
    """Has a case of its own in place of the suite's."""

    def test_a_retired_credential_is_refused_and_the_current_one_is_not(self) -> None:  # type: ignore[override]  # it needs no bench
        return


class Differs(EngineSuite, only=(ALWAYS, RETIRED)):
    """Keeps two cases, one of which needs what it does not declare."""


def cases(suite: type[EngineSuite]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and getattr(suite, name) is not None}


def test_a_case_that_needs_what_is_not_declared_is_not_there_and_its_opposite_is() -> None:
    assert {ALWAYS, UNSUPPORTED} <= cases(Nothing)
    assert RETIRED not in cases(Nothing)


def test_what_is_declared_counts_also_below_a_class_that_declares_less() -> None:
    assert {ALWAYS, RETIRED} <= cases(Retires)
    assert UNSUPPORTED not in cases(Retires)


def test_the_suite_keeps_all_cases_for_the_next_engine() -> None:
    assert {ALWAYS, RETIRED, UNSUPPORTED} <= cases(EngineSuite)


def test_an_engines_own_case_stays_in_the_place_of_the_suites() -> None:
    assert Own.__dict__[RETIRED] is not getattr(EngineSuite, RETIRED)
    assert cases(Own) == cases(Retires)


def test_a_back_end_that_differs_in_some_cases_only_has_those_of_them_that_are_for_it() -> None:
    assert cases(Differs) == {ALWAYS}


def test_a_case_that_the_suite_does_not_have_is_not_kept() -> None:
    with pytest.raises(LookupError, match="test_that_was_renamed"):
        type("Mistaken", (EngineSuite,), {}, only=("test_that_was_renamed",))
