"""The programs that log in over and over: what they count, show, report, and how they stop."""

import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.support.login_programs import client, until

from keyturn_lab.apps.scoreboard import Report, Scoreboard
from keyturn_lab.apps.tally import Counter
from keyturn_lab.backends import Postgres
from keyturn_lab.ports import free_port

PASSWORD = "throw-away"


@pytest.fixture
def login(pg: Postgres) -> dict[str, str]:
    user = f"visitor_{time.monotonic_ns()}"
    pg.create_app_user(user, PASSWORD)
    return {
        "DB_HOST": pg.host,
        "DB_PORT": str(pg.port),
        "DB_USER": user,
        "DB_PASSWORD": PASSWORD,
        "DB_NAME": "app",
        "POD_IP": "127.0.0.1",
        "POD_NAME": "pod-1",
    }


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted_and_the_counts_end_with_the_process(login: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=login) as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.get("/healthz")[0] == 200
        counts = running.stop()
    assert counts["successes"] >= 3
    assert counts["failures"] == 0
    assert (counts["pod"], counts["user"]) == ("pod-1", login["DB_USER"])


def test_a_wrong_password_is_a_failure_and_the_pod_is_not_ready(login: dict[str, str]) -> None:
    with client(environ=login | {"DB_PASSWORD": "wrong"}) as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        assert running.get("/healthz")[0] == 503
        counts = running.stop()
    assert counts["successes"] == 0
    assert counts["last_error_kind"] == "authentication"


def test_a_server_that_is_away_is_a_failure_of_the_network(login: dict[str, str]) -> None:
    with client(environ=login | {"DB_PORT": str(free_port())}) as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"


def test_a_password_that_changes_under_it_makes_the_pod_unready(pg: Postgres, login: dict[str, str]) -> None:
    with client(environ=login) as running:
        until(lambda: running.get("/healthz")[0] == 200)
        pg.execute(f"ALTER ROLE {login['DB_USER']} PASSWORD 'changed'")
        until(lambda: running.get("/healthz")[0] == 503)


def test_a_pool_keeps_its_connection_through_a_change_and_logs_in_again_only_when_it_is_cut(pg: Postgres, login: dict[str, str]) -> None:
    with client("--pooled", environ=login) as running:
        until(lambda: running.get("/healthz")[0] == 200)
        pg.execute(f"ALTER ROLE {login['DB_USER']} PASSWORD 'changed'")
        seen = running.get()[1]["successes"]
        until(lambda: running.get()[1]["successes"] >= seen + 3)
        pg.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", login["DB_USER"])
        until(lambda: running.get("/healthz")[0] == 503)
        assert running.get()[1]["last_error_kind"] == "authentication"


def test_a_directory_is_read_again_before_each_login_where_it_is_told_so(pg: Postgres, login: dict[str, str], tmp_path: Path) -> None:
    fields = {"host": "DB_HOST", "port": "DB_PORT", "username": "DB_USER", "password": "DB_PASSWORD", "dbname": "DB_NAME"}
    for name, variable in fields.items():
        (tmp_path / name).write_text(login[variable])
    with client(f"--directory={tmp_path}", "--reload", environ={"POD_IP": "127.0.0.1"}) as running:
        until(lambda: running.get("/healthz")[0] == 200)
        pg.execute(f"ALTER ROLE {login['DB_USER']} PASSWORD 'changed'")
        until(lambda: running.get("/healthz")[0] == 503)
        (tmp_path / "password").write_text("changed")
        until(lambda: running.get("/healthz")[0] == 200)


def test_a_pod_that_was_given_nothing_ends_and_says_what_is_missing() -> None:
    environ = dict.fromkeys(("DB_HOST", "DB_USER", "DB_PASSWORD"), "")
    with client(environ=environ) as running:
        _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode != 0
    assert "DB_PASSWORD" in errors


def test_what_ended_pods_counted_is_on_the_scoreboard(login: dict[str, str]) -> None:
    with Scoreboard() as board:
        counts = []
        for _ in range(2):
            with client(environ=login | {"SCOREBOARD_URL": board.url}) as running:
                until(lambda: running.get()[1].get("successes", 0) >= 2)
                counts.append(running.stop())
        total = board.totals()["pod-1"]
    assert total["successes"] == sum(count["successes"] for count in counts)
    assert total["failures"] == 0
    assert total["user"] == login["DB_USER"]


def test_a_scoreboard_that_is_away_disturbs_nobody(login: dict[str, str]) -> None:
    with client(environ=login | {"SCOREBOARD_URL": f"http://127.0.0.1:{free_port()}"}) as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def report(successes: int, incarnation: str = "a", longest_gap: float = 0.0) -> Report:
    return Report(
        pod="p", incarnation=incarnation, user="u", successes=successes, failures=0, last_error_kind=None, longest_gap=longest_gap
    )


def test_a_report_replaces_the_one_before_and_one_that_was_overtaken_does_not() -> None:
    with Scoreboard() as board:
        for successes in (1, 5, 3):
            board.take(report(successes))
        board.take(report(10, incarnation="b"))
        assert board.totals()["p"]["successes"] == 15


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"pod": 1, "incarnation": 2, "successes": "x", "failures": 0}'])
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with Scoreboard() as board:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(board.url, data=body, method="POST"), timeout=5)
        refused.value.close()
        assert refused.value.code == 400
        assert board.totals() == {}


def test_the_longest_gap_of_a_pod_is_the_longest_of_its_programs() -> None:
    with Scoreboard() as board:
        for incarnation, gap in (("a", 1.5), ("b", 0.5)):
            board.take(report(1, incarnation=incarnation, longest_gap=gap))
        assert board.totals()["p"]["longest_gap"] == 1.5


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def counted(*events: tuple[float, bool]) -> float:
    """The longest gap after successes (True) and failures at these seconds after the start."""
    watch = Watch()
    counter = Counter("p", clock=watch)
    for at, good in events:
        watch.time = 100.0 + at
        if good:
            counter.succeeded("u")
        else:
            counter.failed("u", "authentication")
    return counter.tally.longest_gap


def test_a_gap_reaches_from_the_last_success_over_the_failures_to_the_next_success() -> None:
    assert counted((1, True), (2, True), (4, False), (5, False), (7, True), (8, False), (9, True)) == 5.0


def test_the_gap_of_a_program_that_never_logs_in_again_reaches_to_its_last_failure() -> None:
    assert counted((1, True), (2, False), (9, False)) == 8.0


def test_the_gap_of_a_program_that_never_logged_in_begins_with_its_start() -> None:
    assert counted((2, False), (3, False)) == 3.0


def test_time_that_passes_without_a_failure_is_no_gap() -> None:
    assert counted((30, True), (90, True)) == 0.0
