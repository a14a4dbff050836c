"""The cases of the common suite about older versions: what is retired, what is restored, and what is refused."""

import itertools
import json
from contextlib import closing

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.cases import Cases, lacks, needs
from tests.support.eventually import wait_until

from keyturn_lab.ports import free_port
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import ROTATION, Step


class OlderVersions(Cases, complete=False):
    """Part of EngineSuite."""

    # retiring

    @needs(Capability.RETIRE)
    def test_a_retired_credential_is_refused_and_the_current_one_is_not(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        for _ in range(2):
            bench.step(Step.RETIRE, old_version)
            assert not bench.can_login(bench.version(old_version))
            assert bench.can_login(bench.current)

    @needs(Capability.RETIRE, Capability.SESSIONS)
    def test_retiring_ends_the_sessions_of_the_old_credential_and_no_others(self, bench: Bench) -> None:
        for _ in range(2):  # two users in turn: what ends the one's sessions may not be what ends the other's
            old_version = bench.current_version()
            bench.rotate()
            with closing(bench.hold(bench.version(old_version))) as old, closing(bench.hold(bench.current)) as new:
                assert old.is_alive()
                bench.step(Step.RETIRE, old_version)
                wait_until(lambda: not old.is_alive(), what="the end of the old session")
                assert new.is_alive()

    @needs(Capability.RETIRE)
    def test_rotations_go_on_after_retiring(self, bench: Bench) -> None:
        for _ in range(3):
            old_version = bench.current_version()
            bench.rotate()
            bench.step(Step.RETIRE, old_version)
            assert bench.can_login(bench.current)
            assert not bench.can_login(bench.version(old_version))

    @needs(Capability.RETIRE)
    def test_nothing_is_retired_while_a_rotation_is_in_flight(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.steps(ROTATION[:3], bench.store.start(APP))
        for version in (old_version, bench.current_version()):
            with pytest.raises(RotationError, match="AWSPENDING is on a version that is not current") as refused:
                bench.step(Step.RETIRE, version)
            assert refused.value.kind is Kind.POLICY
        assert self._somebody_logs_in(bench)
        assert bench.can_login(bench.pending)

    @needs(Capability.RETIRE)
    def test_the_current_version_and_what_shares_its_credential_are_never_retired(self, bench: Bench) -> None:
        bench.rotate()
        before = bench.current_version()
        edited = bench.copy_of_current()
        for version, why in ((edited, "is current"), (before, "the current version's too")):
            with pytest.raises(RotationError, match=why):
                bench.step(Step.RETIRE, version)
        assert bench.can_login(bench.current)

    @needs(Capability.RETIRE)
    def test_a_version_that_is_not_there_is_not_retired(self, bench: Bench) -> None:
        with pytest.raises(RotationError, match="not a version with a value"):
            bench.step(Step.RETIRE, "nobody")

    @needs(Capability.RETIRE)
    @pytest.mark.timeout(1800)
    def test_wherever_retiring_dies_the_next_attempt_completes_it(self, bench: Bench) -> None:
        for end in itertools.count(step=bench.strides[1]):
            old_version = bench.current_version()
            bench.rotate()
            survived = bench.survives([Step.RETIRE], old_version, ends_before=end)
            assert bench.can_login(bench.current), f"after the death before request {end}"
            bench.step(Step.RETIRE, old_version)
            assert not bench.can_login(bench.version(old_version))
            assert bench.can_login(bench.current)
            if survived:
                break

    @needs(Capability.RETIRE, Capability.HOST)
    def test_a_host_that_is_down_proves_nothing(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        port = free_port()
        self._move_to(bench, port)
        bench.store.values[APP][old_version] = json.dumps(json.loads(bench.store.values[APP][old_version]) | {"port": port})
        with pytest.raises(RotationError) as failed:
            bench.step(Step.RETIRE, old_version)
        assert failed.value.kind is Kind.NETWORK

    @lacks(Capability.RETIRE)
    def test_retiring_is_answered_as_unsupported(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        with pytest.raises(Unsupported):
            bench.step(Step.RETIRE, old_version)
        assert bench.can_login(bench.current)

    # restoring

    @needs(Capability.RESTORE)
    @pytest.mark.parametrize("retired", [False, True])
    def test_an_old_credential_is_restored_promoted_and_rotated_again(self, bench: Bench, retired: bool) -> None:
        old_version = bench.current_version()
        bench.rotate()
        if retired and Capability.RETIRE in self.capabilities:
            bench.step(Step.RETIRE, old_version)
        for _ in range(2):
            bench.step(Step.RESTORE, old_version)
            assert bench.can_login(bench.version(old_version))
        bench.promote(old_version)
        bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)
        bench.rotate()
        assert bench.can_login(bench.current)

    @needs(Capability.RESTORE, Capability.OVERLAP)
    def test_restoring_leaves_the_current_credential_valid(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)

    @needs(Capability.RESTORE, Capability.RETIRE)
    def test_what_was_rolled_back_is_retired_in_its_turn(self, bench: Bench) -> None:
        old_version = bench.current_version()
        new_version = bench.rotate()
        bench.step(Step.RESTORE, old_version)
        bench.promote(old_version)
        bench.step(Step.RETIRE, new_version)
        assert not bench.can_login(bench.version(new_version))
        assert bench.can_login(bench.current)

    @needs(Capability.RESTORE)
    def test_nothing_is_restored_while_a_rotation_is_in_flight(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.steps(ROTATION[:3], bench.store.start(APP))
        with pytest.raises(RotationError, match="AWSPENDING is on a version that is not current"):
            bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.pending)

    @needs(Capability.RESTORE, Capability.PASSWORD, Capability.HOST)
    def test_a_version_of_another_user_is_not_restored(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.store.values[APP][old_version] = bench.version(old_version).replaced(username="somebody_else").to_json()
        with pytest.raises(RotationError) as refused:
            bench.step(Step.RESTORE, old_version)
        assert refused.value.kind is Kind.POLICY
        assert bench.can_login(bench.current)

    @needs(Capability.RESTORE)
    @pytest.mark.timeout(1800)
    def test_wherever_restoring_dies_the_next_attempt_completes_it(self, bench: Bench) -> None:
        for end in itertools.count(step=bench.strides[1]):
            old_version = bench.current_version()
            bench.rotate()
            if Capability.RETIRE in self.capabilities:
                bench.step(Step.RETIRE, old_version)
            survived = bench.survives([Step.RESTORE], old_version, ends_before=end)
            assert bench.can_login(bench.current) or bench.can_login(bench.version(old_version)), f"after the death before request {end}"
            bench.step(Step.RESTORE, old_version)
            assert bench.can_login(bench.version(old_version))
            bench.promote(old_version)
            if survived:
                break

    @lacks(Capability.RESTORE)
    def test_restoring_is_answered_as_unsupported(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        with pytest.raises(Unsupported):
            bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)
