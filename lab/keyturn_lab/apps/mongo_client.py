"""Logs in to MongoDB over and over with the credential that its pod was given: `python -m keyturn_lab.apps.mongo_client`.

DB_NAME is the database that keeps the user.
"""

import sys
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT, DATABASE = 27017, "admin"
AUTHENTICATION_FAILED = 18


class _Session:
    def __init__(self, login: Login) -> None:
        milliseconds = int(TIMEOUT * 1000)
        self._database = login.database or DATABASE
        self._client: MongoClient[dict[str, Any]] = MongoClient(
            login.host,
            login.port or PORT,
            username=login.user,
            password=login.password,
            authSource=self._database,
            directConnection=True,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds,
            serverMonitoringMode="poll",  # one thread and one connection in the background, not two
            retryReads=False,  # a failure is to be counted, not mended
            maxPoolSize=1,
        )

    def use(self) -> None:
        self._client[self._database].command("ping")

    def close(self) -> None:
        self._client.close()


def connect(login: Login) -> Session:
    """A client, which logs in with its first command."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the server's number."""
    match error:
        case OperationFailure(code=int() as code):
            return "authentication" if code == AUTHENTICATION_FAILED else f"server {code}"
        case ConnectionFailure() | OSError():
            return "network"
        case _:
            return f"driver {type(error).__name__}"


DRIVER = Driver(name="mongo", connect=connect, errors=(PyMongoError, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
