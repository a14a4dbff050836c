"""What retiring and restoring leave behind in PostgreSQL: the role, its limits, its rights, and those of the admin."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from tests.rotators.bench import APP
from tests.rotators.test_postgres import PostgresBench, made

from keyturn_lab.backends import Postgres
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step


@pytest.fixture
def bench(pg: Postgres) -> Iterator[PostgresBench]:
    """Rotated once, so that there are both users: the first is idle."""
    for each in made(pg, "AlternatingUsers"):
        each.rotate()
        yield each


@pytest.fixture
def single(pg: Postgres) -> Iterator[PostgresBench]:
    for each in made(pg, "SingleUser"):
        each.rotate()
        yield each


def role(pg: Postgres, user: str) -> list[object]:
    return pg.execute("SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = $1", user)[0]


def idle(bench: PostgresBench) -> str:
    return bench.version("v1").username


def test_the_idle_user_may_not_log_in_and_its_old_password_is_gone_for_good(pg: Postgres, bench: PostgresBench) -> None:
    bench.step(Step.RETIRE, "v1")
    assert role(pg, idle(bench)) == [False, -1]
    pg.execute(f"ALTER ROLE {idle(bench)} LOGIN")
    assert not bench.can_login(bench.version("v1"))


@pytest.mark.parametrize("rotations", [0, 1])
def test_sessions_that_fill_the_users_connection_limit_are_ended_and_the_limit_stays(
    pg: Postgres, bench: PostgresBench, rotations: int
) -> None:
    for _ in range(rotations):
        bench.rotate()
    old = next(version for version, labels in bench.store.labels[APP].items() if "AWSPREVIOUS" in labels)
    users = [bench.version(old).username, bench.current.username]
    for user in users:
        pg.execute(f"ALTER ROLE {user} CONNECTION LIMIT 3")
    with ExitStack() as stack:
        held = [stack.enter_context(closing(bench.hold(bench.version(old)))) for _ in range(3)]
        bench.step(Step.RETIRE, old)
        assert not [session for session in held if session.is_alive()]
    assert [role(pg, user) for user in users] == [[False, 3], [True, 3]]


def test_the_admin_has_no_more_rights_than_before(pg: Postgres, bench: PostgresBench) -> None:
    admin = bench.store.credential("superuser").username
    options = "roleid::regrole::text, admin_option, inherit_option, set_option"
    query = f"SELECT {options} FROM pg_auth_members WHERE member = $1::regrole ORDER BY 1, 2"
    before = pg.execute(query, admin)
    bench.step(Step.RETIRE, "v1")
    bench.step(Step.RESTORE, "v1")
    assert pg.execute(query, admin) == before
    assert not any(inherits or sets for _, _, inherits, sets in before)


def test_a_user_that_somebody_has_dropped_is_retired_already(pg: Postgres, bench: PostgresBench) -> None:
    database = bench.current.database("?")
    clone = bench.current.username
    bench.rotate()
    version = next(version for version, labels in bench.store.labels[APP].items() if "AWSPREVIOUS" in labels)
    pg.execute(f"DROP OWNED BY {clone}; DROP ROLE {clone}", database=database)
    bench.step(Step.RETIRE, version)
    assert bench.can_login(bench.current)


def test_a_role_that_is_no_partner_of_the_current_one_is_left_alone(pg: Postgres, bench: PostgresBench) -> None:
    admin = bench.store.credential("superuser").username
    pg.execute(f"REVOKE {idle(bench)} FROM {bench.current.username} GRANTED BY {admin}")
    with pytest.raises(RotationError, match="no partner"):
        bench.step(Step.RETIRE, "v1")
    assert bench.can_login(bench.version("v1"))


@pytest.mark.parametrize("step", [Step.RETIRE, Step.RESTORE])
def test_a_version_of_a_third_user_is_left_alone(pg: Postgres, bench: PostgresBench, step: Step) -> None:
    third = f"third_{bench.current.database('?')}"
    pg.create_app_user(third, "of-somebody-else", database=bench.current.database("?"))
    bench.store.values[APP]["v1"] = json.dumps(
        json.loads(bench.store.values[APP]["v1"]) | {"username": third, "password": "of-somebody-else"}
    )
    with pytest.raises(RotationError, match="not the current one's partner") as refused:
        bench.step(step, "v1")
    assert refused.value.kind is Kind.POLICY
    assert bench.can_login(bench.version("v1"))


@pytest.mark.parametrize("step", [Step.RETIRE, Step.RESTORE])
def test_nothing_is_done_in_the_name_of_a_user_whose_current_password_is_not_known(bench: PostgresBench, step: Step) -> None:
    bench.edit(APP, password="guessed")
    with pytest.raises(RotationError) as refused:
        bench.step(step, "v1")
    assert refused.value.kind is Kind.AUTHENTICATION
    assert bench.can_login(bench.version("v1"))


def test_retiring_waits_for_a_step_that_holds_the_pairs_lock_and_gives_up_in_time(pg: Postgres, bench: PostgresBench) -> None:
    with closing(bench.hold(bench.current)) as other:
        other.run("SELECT pg_advisory_lock(hashtextextended($lock$keyturn/" + idle(bench) + "$lock$, 0))")
        with pytest.raises(RotationError) as failed:
            bench.step(Step.RETIRE, "v1", within=20)
        assert failed.value.kind is Kind.SERVER
        assert "other rotations of the same users" in failed.value.check
        assert bench.can_login(bench.version("v1"))
    bench.step(Step.RETIRE, "v1")


def test_a_restored_user_may_do_what_the_current_one_may(pg: Postgres, bench: PostgresBench) -> None:
    database, current = bench.current.database("?"), bench.current
    bench.step(Step.RETIRE, "v1")
    pg.execute(f"CREATE TABLE {idle(bench)}.t (a int)", user=current.username, password=current.password, database=database)
    pg.execute(f"ALTER ROLE {current.username} CONNECTION LIMIT 9")
    bench.step(Step.RESTORE, "v1")
    old = bench.version("v1")
    pg.execute(f"ALTER TABLE {old.username}.t ADD COLUMN b int", user=old.username, password=old.password, database=database)
    assert role(pg, old.username) == [True, 9]


def test_the_next_rotation_lets_the_retired_user_in_again_with_a_new_password_only(pg: Postgres, bench: PostgresBench) -> None:
    bench.step(Step.RETIRE, "v1")
    bench.rotate()
    assert bench.current.username == idle(bench)
    assert role(pg, idle(bench))[0] is True
    assert not bench.can_login(bench.version("v1"))


def test_a_rotation_that_begins_while_retiring_waits_is_not_locked_out(bench: PostgresBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rotation has set its password when retiring gets the lock: its user must not be shut out."""
    described = bench.store.describe
    token = ""

    def begins_after_the_first_look(secret: str) -> object:
        nonlocal token
        seen = described(secret)
        if not token:
            token = bench.store.start(APP)
            bench.steps(ROTATION[:3], token)
        return seen

    monkeypatch.setattr(bench.store, "describe", begins_after_the_first_look)
    with pytest.raises(RotationError, match="a rotation is under way"):
        bench.step(Step.RETIRE, "v1")
    bench.step(Step.FINISH, token)
    assert bench.can_login(bench.current)


def test_with_one_user_sessions_go_on_and_only_the_old_password_is_proved_dead(single: PostgresBench) -> None:
    with closing(single.hold(single.current)) as session:
        single.step(Step.RETIRE, "v1")
        assert session.is_alive()
    assert not single.can_login(single.version("v1"))


def test_with_one_user_a_version_whose_password_was_restored_is_not_called_retired(single: PostgresBench) -> None:
    single.step(Step.RESTORE, "v1")
    with pytest.raises(RotationError) as refused:
        single.step(Step.RETIRE, "v1")
    assert refused.value.kind is Kind.AUTHENTICATION, "what is current is refused, so a refusal of the old would prove nothing"


def test_no_password_of_any_step_is_in_the_servers_log() -> None:
    with Postgres(settings={"log_statement": "all", "log_connections": "on"}) as server:
        for bench in made(server, "AlternatingUsers"):
            bench.rotate()
            bench.step(Step.RETIRE, "v1")
            bench.step(Step.RESTORE, "v1")
            bench.rotate()
            passwords = [json.loads(value)["password"] for value in list(bench.store.values[APP].values())[1:]]
        log = server.log.read_text(errors="replace")
    assert "NOLOGIN" in log
    assert not [password for password in passwords if password in log]
