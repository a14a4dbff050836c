"""What the cases about Redis' users have in common."""

from tests.rotators.redis_bench import RedisBench

from keyturn_lab.backends.redis import Redis
from keyturn_rotators.rotation import Step


def rules_of(server: Redis, user: str) -> list[str]:
    """What a user may do, without its name and passwords."""
    return [word for word in server.users()[user].split(" ")[2:] if not word.startswith("#")]


def retire_first(bench: RedisBench) -> None:
    """A rotation, and the retirement of what was current before."""
    version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, version)
