"""Logs in to PostgreSQL over and over with the credential that its pod was given: `python -m keyturn_lab.apps.postgres_client`.

The credential comes from DB_HOST, DB_PORT, DB_USER, DB_PASSWORD and DB_NAME, or from a directory with a file for each field of the secret.
Each login is a success or a failure; the counts are served on POD_IP:8080 and reported to SCOREBOARD_URL where that is set.
"""

import argparse
import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from keyturn_lab.apps.status_server import StatusServer
from keyturn_lab.apps.tally import Counter

PAUSE = 0.2  # seconds between logins
TIMEOUT = 5.0
REPORT_EVERY = 0.5
REPORT_TIMEOUT = 2.0
FIELDS = {"host": "DB_HOST", "port": "DB_PORT", "username": "DB_USER", "password": "DB_PASSWORD", "dbname": "DB_NAME"}
AUTHENTICATION = ("28P01", "28000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a pod was given."""

    host: str
    user: str
    port: int = 5432
    database: str = "postgres"
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
        missing = [f"{name} ({FIELDS[name]})" for name in ("host", "username", "password") if not given[name]]
        if missing:
            raise SystemExit(f"the pod was not given {', '.join(missing)}")
        return cls(
            host=given["host"],
            port=int(given["port"] or 5432),
            user=given["username"],
            password=given["password"],
            database=given["dbname"] or "postgres",
        )


class Client(Protocol):
    """One way to use a credential. Raises the driver's errors."""

    def use(self, login: Login) -> None: ...

    def close(self) -> None: ...


class EachTime:
    """Logs in anew for every use."""

    def use(self, login: Login) -> None:
        connection = _connect(login)
        try:
            connection.run("SELECT 1")
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is kept."""


class Pooled:
    """Keeps one connection, and looks at every use whether it still works; logs in again only where it does not."""

    def __init__(self) -> None:
        self._kept: Connection | None = None

    def use(self, login: Login) -> None:
        if self._kept is not None:
            try:
                self._kept.run("SELECT 1")
            except (DatabaseError, InterfaceError, OSError):
                self.close()  # the server has ended it, which a pool takes without a word
            else:
                return
        kept = _connect(login)
        kept.run("SELECT 1")
        self._kept = kept

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            try:
                kept.close()
            except (InterfaceError, OSError):
                return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    options = _parser().parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    counter = Counter(pod=os.environ.get("POD_NAME") or os.environ.get("HOSTNAME") or str(os.getpid()))
    client: Client = Pooled() if options.pooled else EachTime()
    reporter = threading.Thread(target=_report, args=(counter, stopping), daemon=True)
    with StatusServer(counter, host=os.environ.get("POD_IP") or "127.0.0.1", port=options.port):
        reporter.start()
        _use_until_stopped(options, client, counter, stopping)
        client.close()
        _post(counter)
    print(json.dumps(counter.tally.as_json()), flush=True)
    return 0


def _use_until_stopped(options: argparse.Namespace, client: Client, counter: Counter, stopping: threading.Event) -> None:
    login = _given(options)
    while not stopping.is_set():
        if options.reload:
            login = _given(options)
        try:
            client.use(login)
        except (DatabaseError, InterfaceError, OSError) as error:
            counter.failed(login.user, _kind(error))
        else:
            counter.succeeded(login.user)
        stopping.wait(options.pause)


def _given(options: argparse.Namespace) -> Login:
    return Login.from_directory(options.directory) if options.directory else Login.from_environment(os.environ)


def _connect(login: Login) -> Connection:
    return Connection(
        login.user, password=login.password, host=login.host, port=login.port, database=login.database, timeout=TIMEOUT, ssl_context=None
    )


def _kind(error: Exception) -> str:
    if isinstance(error, DatabaseError):
        state = error.args[0].get("C") if error.args and isinstance(error.args[0], dict) else None
        return "authentication" if state in AUTHENTICATION else f"server {state}"
    return "network"


def _report(counter: Counter, stopping: threading.Event) -> None:
    while not stopping.wait(REPORT_EVERY):
        _post(counter)


def _post(counter: Counter) -> None:
    """Tell the scoreboard; where it does not answer, the next report says the same."""
    url = os.environ.get("SCOREBOARD_URL")
    if not url:
        return
    body = json.dumps(counter.tally.as_json()).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=REPORT_TIMEOUT):
            return
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postgres_client", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pooled", action="store_true", help="keep one connection instead of logging in each time")
    parser.add_argument("--pause", type=float, default=PAUSE, metavar="SECONDS", help="between two logins (default: %(default)s)")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="read the credential from files there instead of DB_*")
    parser.add_argument("--reload", action="store_true", help="read the directory again before each login")
    parser.add_argument("--port", type=int, default=8080, help="of the counts and /healthz (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
