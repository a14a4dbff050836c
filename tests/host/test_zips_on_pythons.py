"""Every engine's zip on every Python of this machine, with nothing but boto3 beside it: it starts, and it rotates."""

from __future__ import annotations

import io
import json
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.support.debian import install
from tests.support.pythons import pythons, with_boto3

from keyturn_lab.aws import Aws, Settings
from keyturn_lab.backends import Postgres
from keyturn_lab.backends.mariadb import MariaDb
from keyturn_lab.backends.redis import Redis
from keyturn_rotators.drivers import Target
from keyturn_rotators.engines.registry import BY_MODULE
from keyturn_rotators.package import architectures, build
from keyturn_rotators.rotation import ROTATION

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

PYTHONS = pythons()
PASSWORD, ADMIN_PASSWORD = "first-password-of-the-app", "password-of-the-admin"
NEVER_ENDS = "def handler(event, context):\n    raise RuntimeError('it only begins rotations')\n"
FUNCTION = """
import json, sys
sys.path.insert(0, sys.argv[1])
from importlib import import_module
import boto3
import keyturn_rotators.lambda_handler as entry
engine = import_module("keyturn_rotators.engines." + sys.argv[2])
assert entry.__file__.startswith(sys.argv[1]) and not boto3.__file__.startswith(sys.argv[1])

class Context:
    def get_remaining_time_in_millis(self):
        return 120_000

for event in json.loads(sys.argv[3]):
    print(entry.handler(event, Context())["result"])
"""


class Runtime:
    """One Python with boto3, and the zips that were built for it."""

    def __init__(self, python: str, folder: Path) -> None:
        self.target = Target(architecture=Target.here().architecture, python=python)
        self._folder = folder
        self._python = with_boto3(PYTHONS[python], folder / "venv", boto3=version("boto3"))

    def run(self, engine: str, events: list[dict[str, str]], environment: dict[str, str]) -> list[str]:
        """What the engine's function answers to each event."""
        code = self._folder / engine
        if not code.is_dir():
            with zipfile.ZipFile(io.BytesIO(build(engine, target=self.target))) as archive:
                archive.extractall(code)
        command = [self._python, "-I", "-c", FUNCTION, str(code), engine, json.dumps(events)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


@pytest.fixture(scope="module", params=list(PYTHONS))
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return Runtime(request.param, tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    code = tmp_path_factory.mktemp("begins")
    (code / "begins.py").write_text(NEVER_ENDS)
    with Aws(settings=Settings(rotation_attempts=1)) as running:
        running.register_function("begins", code, handler="begins.handler")
        yield running


@pytest.fixture(scope="module")
def values() -> Iterator[dict[str, tuple[dict[str, object], dict[str, object] | None]]]:
    """Of each engine: a secret's value, and its superuser's, on real servers."""
    install("mariadb-server-core")
    with Postgres() as pg, MariaDb() as mariadb, Redis() as redis:
        pg.create_app_user("app", PASSWORD, database="orders")
        mariadb.create_app_user("app", PASSWORD, database="orders")
        redis.create_app_user("app", PASSWORD)
        redis.create_admin("admin", ADMIN_PASSWORD)
        yield {
            "postgres": (pg.secret("app", PASSWORD, dbname="orders"), None),
            "mysql": (mariadb.secret("app", PASSWORD, dbname="orders"), None),
            "redis": (redis.secret("app", PASSWORD), redis.secret("admin", ADMIN_PASSWORD)),
            "random": ({"engine": "random", "value": PASSWORD}, None),
        }


def test_the_python_that_runs_the_tests_is_among_them() -> None:
    assert Target.here().python in PYTHONS


@pytest.mark.parametrize("engine", sorted(name for name in BY_MODULE if Target.here().architecture in architectures(name)))
def test_the_zip_of_every_engine_starts(engine: str, runtime: Runtime) -> None:
    assert runtime.run(engine, [{"Step": "unheardOf"}], {"AWS_DEFAULT_REGION": "eu-west-1"}) == ["Unsupported"]


@pytest.mark.parametrize("engine", ["mysql", "postgres", "random", "redis"])
def test_a_whole_rotation_is_done(
    engine: str, runtime: Runtime, aws: Aws, values: dict[str, tuple[dict[str, object], dict[str, object] | None]]
) -> None:
    value, superuser = values[engine]
    arn = secret(aws, value | ({"masterarn": secret(aws, superuser)} if superuser else {}))
    function = "arn:aws:lambda:eu-west-1:123456789012:function:begins"
    token = aws.client("secretsmanager").rotate_secret(SecretId=arn, RotationLambdaARN=function)["VersionId"]
    events = [{"Step": step, "SecretId": arn, "ClientRequestToken": token} for step in ROTATION]
    strategy = "Overlap" if engine in ("random", "redis") else "SingleUser"
    answers = runtime.run(engine, events, aws.environment | {"KEYTURN_STRATEGY": strategy})
    assert answers == ["Done"] * len(ROTATION)
    now = aws.client("secretsmanager").get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    assert now["VersionId"] == token
    values[engine] = (json.loads(now["SecretString"]), superuser)


def secret(aws: Aws, value: dict[str, object]) -> str:
    made = aws.client("secretsmanager").create_secret(Name=f"zips/{uuid.uuid4().hex}", SecretString=json.dumps(value))
    return str(made["ARN"])
