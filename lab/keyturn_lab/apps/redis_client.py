"""Logs in to Redis over and over with the credential that its pod was given: `python -m keyturn_lab.apps.redis_client`."""

import sys

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NotInTime
from redis.retry import Retry

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 6379


class _Session:
    def __init__(self, login: Login) -> None:
        self._client = Redis(
            host=login.host,
            port=login.port or PORT,
            username=login.user,
            password=login.password,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # a failure is to be counted, not mended
        )

    def use(self) -> None:
        self._client.ping()

    def close(self) -> None:
        self._client.close()


def connect(login: Login) -> Session:
    """A client, which logs in with its first command."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the driver's class."""
    match error:
        case AuthenticationError():
            return "authentication"
        case NotConnected() | NotInTime() | OSError():
            return "network"
        case ResponseError() if "WRONGPASS" in str(error) or "invalid username-password" in str(error):
            return "authentication"
        case _:
            return f"server {type(error).__name__}"


DRIVER = Driver(name="redis", connect=connect, errors=(RedisError, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
