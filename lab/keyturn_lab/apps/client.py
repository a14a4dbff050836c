"""What the client programs share: they use a credential over and over, as an application would, and count how often it let them in.

The credential comes from DB_HOST, DB_PORT, DB_USER, DB_PASSWORD and DB_NAME, or from a directory with a file for each field of the secret.
Each use is a success or a failure; the counts are served on POD_IP:8080 and reported to SCOREBOARD_URL where that is set.
"""

import argparse
import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from keyturn_lab.apps.status_server import StatusServer
from keyturn_lab.apps.tally import Counter

PAUSE = 0.2  # seconds between logins
TIMEOUT = 5.0
REPORT_EVERY = 0.5
REPORT_TIMEOUT = 2.0
LAST_REPORTS = 3  # attempts: what is lost at the end is lost for good
AUTOGROUP = Path("/proc/self/autogroup")  # Linux gives each session the same share of the processor; niceness counts within one only
FIELDS = {"host": "DB_HOST", "port": "DB_PORT", "username": "DB_USER", "password": "DB_PASSWORD", "dbname": "DB_NAME"}
NEEDED = ("host", "username", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a pod was given."""

    host: str
    user: str
    port: int | None = None  # None: the driver's own
    database: str = ""
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Login":
        return cls._from({name: environ.get(variable, "") for name, variable in FIELDS.items()})

    @classmethod
    def from_directory(cls, directory: Path) -> "Login":
        files = {name: directory / name for name in FIELDS}
        return cls._from({name: path.read_text().strip() if path.is_file() else "" for name, path in files.items()})

    @classmethod
    def _from(cls, given: Mapping[str, str]) -> "Login":
        missing = [f"{name} ({FIELDS[name]})" for name in NEEDED if not given[name]]
        if missing:
            raise SystemExit(f"the pod was not given {', '.join(missing)}")
        return cls(
            host=given["host"],
            port=int(given["port"]) if given["port"] else None,
            user=given["username"],
            password=given["password"],
            database=given["dbname"],
        )


class Session(Protocol):
    """A connection that was let in."""

    def use(self) -> None:
        """Ask for something small. Raises one of the driver's errors."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How a program logs in, and what its errors are."""

    name: str
    connect: Callable[[Login], Session]
    errors: tuple[type[Exception], ...]
    kind: Callable[[Exception], str]  # in a word or two, and without a value


class Client(Protocol):
    """One way to use a credential. Raises the driver's errors."""

    def use(self, login: Login) -> None: ...

    def close(self) -> None: ...


class EachTime:
    """Logs in anew for every use."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def use(self, login: Login) -> None:
        session = self._driver.connect(login)
        try:
            session.use()
        finally:
            session.close()

    def close(self) -> None:
        """Nothing is kept."""


class Pooled:
    """Keeps one connection, and looks at every use whether it still works; logs in again only where it does not."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._kept: Session | None = None

    def use(self, login: Login) -> None:
        if self._kept is not None:
            try:
                self._kept.use()
            except self._driver.errors:
                self.close()  # the server has ended it, which a pool takes without a word
            else:
                return
        kept = self._driver.connect(login)
        kept.use()
        self._kept = kept

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(*self._driver.errors):
                kept.close()


def main(driver: Driver, arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    options = _parser(driver).parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    counter = Counter(pod=os.environ.get("POD_NAME") or os.environ.get("HOSTNAME") or str(os.getpid()))
    client: Client = Pooled(driver) if options.pooled else EachTime(driver)
    reporter = threading.Thread(target=_report, args=(counter, stopping), daemon=True)
    with StatusServer(counter, host=os.environ.get("POD_IP") or "127.0.0.1", port=options.port):
        reporter.start()
        _use_until_stopped(options, driver, client, counter, stopping)
        client.close()
        any(_posted(counter) for _ in range(LAST_REPORTS))
    print(json.dumps(counter.tally.as_json()), flush=True)
    return 0


def _use_until_stopped(options: argparse.Namespace, driver: Driver, client: Client, counter: Counter, stopping: threading.Event) -> None:
    login, niceness = _given(options), options.nice
    while not stopping.is_set():
        if options.reload:
            login = _given(options)
        try:
            client.use(login)
        except driver.errors as error:
            counter.failed(login.user, driver.kind(error))
        else:
            counter.succeeded(login.user)
            niceness = _nicer(niceness)
        stopping.wait(options.pause)


def _nicer(niceness: int) -> int:
    """Let others go first from now on: the start is over. Returns what is still to be added."""
    if niceness:
        os.nice(niceness)
        with suppress(OSError):  # a kernel without
            AUTOGROUP.write_text(str(niceness))
    return 0


def _given(options: argparse.Namespace) -> Login:
    return Login.from_directory(options.directory) if options.directory else Login.from_environment(os.environ)


def _report(counter: Counter, stopping: threading.Event) -> None:
    while not stopping.wait(REPORT_EVERY):
        _posted(counter)


def _posted(counter: Counter) -> bool:
    """Tell the scoreboard; where it does not answer, the next report says the same."""
    url = os.environ.get("SCOREBOARD_URL")
    if not url:
        return True
    body = json.dumps(counter.tally.as_json()).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=REPORT_TIMEOUT):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _parser(driver: Driver) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{driver.name}_client", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pooled", action="store_true", help="keep one connection instead of logging in each time")
    parser.add_argument("--pause", type=float, default=PAUSE, metavar="SECONDS", help="between two logins (default: %(default)s)")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="added to its niceness after the first login")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="read the credential from files there instead of DB_*")
    parser.add_argument("--reload", action="store_true", help="read the directory again before each login")
    parser.add_argument("--port", type=int, default=8080, help="of the counts and /healthz (default: %(default)s)")
    return parser
