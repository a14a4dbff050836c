"""What holds of every server where one user has two passwords for a time, besides the common suite."""

from abc import abstractmethod

from tests.rotators.bench import APP, Bench

from keyturn_rotators.rotation import ROTATION, Step


class TwoPasswordsBench(Bench):
    """A user of a fake server, whose passwords can be looked at."""

    @property
    @abstractmethod
    def older(self) -> str | None:
        """The password that is taken beside the one that was set last."""


class TwoPasswords:
    """A subclass's module has the fixture `overlap`."""

    def test_a_rotation_given_up_after_set_does_not_cost_the_current_password_in_the_next(self, overlap: TwoPasswordsBench) -> None:
        before = overlap.current
        for _ in range(2):
            overlap.steps(ROTATION[:2], overlap.store.start(APP))
            assert overlap.older == before.password, "the current password is the older one, which the next would push out"
            assert overlap.can_login(before)
            assert overlap.can_login(overlap.pending)

    def test_retiring_after_a_promotion_that_was_taken_back_leaves_the_current_password(self, overlap: TwoPasswordsBench) -> None:
        first = overlap.current_version()
        second = overlap.rotate()
        overlap.promote(first)
        overlap.step(Step.RETIRE, second)
        assert overlap.can_login(overlap.current)
        assert not overlap.can_login(overlap.version(second))
        assert overlap.older is None
