"""Which engine and strategy a secret gets, and that whoever writes a secret cannot have any code of theirs run."""

import sys
from importlib import import_module
from types import ModuleType

import pytest

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines import chooser
from keyturn_rotators.engines.postgres import AlternatingUsers, SingleUser
from keyturn_rotators.engines.registry import BY_MODULE, BY_NAME, ENTRIES, Entry
from keyturn_rotators.errors import Kind, RotationError

POSTGRES = {"engine": "postgres"}
WITH_SUPERUSER = POSTGRES | {"masterarn": "arn:x"}


@pytest.mark.parametrize(
    ("fields", "environ", "engine"),
    [
        (POSTGRES, {}, SingleUser),
        (WITH_SUPERUSER, {}, AlternatingUsers),
        (POSTGRES, {"KEYTURN_SUPERUSER_SECRET": "arn:x"}, AlternatingUsers),
        (WITH_SUPERUSER, {"KEYTURN_STRATEGY": "SingleUser"}, SingleUser),
        (POSTGRES, {"KEYTURN_STRATEGY": "AlternatingUsers"}, AlternatingUsers),
        ({"engine": "Aurora-PostgreSQL"}, {}, SingleUser),
        ({}, {"KEYTURN_ENGINE": "postgres"}, SingleUser),
        ({"engine": "of somebody else"}, {"KEYTURN_ENGINE": "postgres"}, SingleUser),
    ],
)
def test_the_secret_and_the_functions_variables_say_which(fields: dict[str, object], environ: dict[str, str], engine: type) -> None:
    assert type(chooser(environ)(Credential(fields))) is engine


@pytest.mark.parametrize(
    ("fields", "environ", "what"),
    [
        ({"engine": "cobol"}, {}, "engine is not known"),
        ({}, {}, "names no engine"),
        ({"engine": 7}, {}, "names no engine"),
        (POSTGRES, {"KEYTURN_ENGINE": "cobol"}, "KEYTURN_ENGINE is not an engine"),
        (POSTGRES, {"KEYTURN_STRATEGY": "__doc__"}, "KEYTURN_STRATEGY is not a strategy"),
        (POSTGRES, {"KEYTURN_STRATEGY": "Overlap"}, "KEYTURN_STRATEGY is not a strategy"),
    ],
)
def test_what_is_not_known_is_refused(fields: dict[str, object], environ: dict[str, str], what: str) -> None:
    with pytest.raises(RotationError, match=what) as refused:
        chooser(environ)(Credential(fields))
    assert refused.value.kind is Kind.POLICY


class Own(SingleUser):
    """An engine of the user's own."""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("own_engine")
    module.Own = Own  # type: ignore[attr-defined]  # a module that is made for this test
    monkeypatch.setitem(sys.modules, "own_engine", module)
    return "own_engine:Own"


def test_an_engine_of_the_users_own_is_named_by_the_function(own: str) -> None:
    assert type(chooser({"KEYTURN_ENGINE": own})(Credential({}))) is Own


def test_a_secret_cannot_name_code_to_be_loaded(own: str) -> None:
    with pytest.raises(RotationError, match="engine is not known"):
        chooser({})(Credential({"engine": own}))


@pytest.mark.parametrize("named", ["no_such_module:Own", "own_engine:Missing", "own_engine:", ":Own"])
def test_an_engine_of_the_users_own_that_is_not_there_is_refused(own: str, named: str) -> None:
    with pytest.raises(RotationError, match="cannot be loaded") as refused:
        chooser({"KEYTURN_ENGINE": named})(Credential({}))
    assert refused.value.kind is Kind.POLICY


@pytest.mark.parametrize("missing", ["keyturn_rotators.engines.mysql", "pymysql"])
def test_an_engine_that_the_functions_package_lacks_or_cannot_load_is_said_with_the_zip_that_has_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("keyturn_rotators.engines.mysql", "pymysql"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not there
    with pytest.raises(RotationError, match=r"cannot load the engine mysql .*`keyturn-rotators package mysql`") as refused:
        chooser({})(Credential({"engine": "mysql"}, secret="arn:orders"))
    assert refused.value.kind is Kind.POLICY
    assert missing in str(refused.value)
    assert "arn:orders" in str(refused.value)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.module)
def test_every_line_of_the_registry_leads_to_a_class_for_each_strategy(entry: Entry) -> None:
    module = import_module(f"keyturn_rotators.engines.{entry.module}")
    for strategy in entry.strategies:
        engine = getattr(module, strategy).from_environment({})
        assert engine.principal
        missing = [name for name in ("propose", "is_successor", "apply", "verify", "retire", "restore") if not hasattr(engine, name)]
        assert not missing


def test_no_name_means_two_engines() -> None:
    assert len(BY_NAME) == sum(len(entry.names) for entry in ENTRIES)
    assert len(BY_MODULE) == len(ENTRIES)
    assert all(name == name.lower() for name in BY_NAME)
