"""MemoryDB's users through moto, which knows how many passwords a user has."""

import json
import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import chooser
from keyturn_rotators.rotation import ROTATION, Request, Rotation, Step

REGION = "eu-west-1"


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The ARN of a user with one password."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws():
        client = boto3.client("memorydb", region_name=REGION)
        mode = {"Type": "password", "Passwords": ["first-password-of-the-app"]}
        made = client.create_user(UserName="app", AuthenticationMode=mode, AccessString="on ~* +@read")
        yield made["User"]["ARN"]


def passwords_of(name: str) -> int:
    [found] = boto3.client("memorydb", region_name=REGION).describe_users(UserName=name)["Users"]
    return int(found["Authentication"]["PasswordCount"])


def test_a_user_has_two_passwords_after_a_rotation_and_one_when_the_old_is_retired(user: str) -> None:
    value = {"engine": "memorydb", "user_arn": user, "username": "app", "password": "first-password-of-the-app"}
    store = DictionaryStore(app=json.dumps(value))
    rotation = Rotation(store, chooser({}), deadline=Deadline.after(60))
    token = store.start("app")
    for step in ROTATION:
        rotation.run(Request(step=step, secret="app", token=token))
    assert passwords_of("app") == 2
    rotation.run(Request(step=Step.RETIRE, secret="app", token="v1"))
    assert passwords_of("app") == 1
    assert uuid.UUID(token)
