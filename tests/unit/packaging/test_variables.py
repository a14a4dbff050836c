"""Every variable that a rotation function reads is told on a page and can be set with the SAM template, and no other is."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from tests.support.cloudformation import document
from tests.unit.packaging.dockerfile import ROOT

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines import chooser
from keyturn_rotators.engines.registry import ENTRIES

PACKAGE = ROOT / "rotators" / "keyturn_rotators"
PAGES = ROOT / "docs" / "rotators"
TEMPLATE = document(ROOT / "infra" / "sam" / "template.yaml")
OF_TESTS = "KEYTURN_LIVE_"
OF_AN_EXAMPLE = "KEYTURN_ADMIN"  # Oracle's name of a user


class Recording(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked = set[str]()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # the overloads of dict say no more
        self.asked.add(name)
        return super().get(name, default)


def read_by_engines() -> set[str]:
    found = set[str]()
    for entry in ENTRIES:
        for strategy in entry.strategies:
            environ = Recording({"KEYTURN_STRATEGY": strategy})
            chooser(environ)(Credential({"engine": entry.names[0]}))
            found |= environ.asked
    return found


def read_from_the_process() -> set[str]:
    """`os.environ.get(NAME)`, where NAME is a constant of the module."""
    found = set[str]()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        found |= {getattr(import_module(module), name) for name in re.findall(r"os\.environ\.get\((\w+)", path.read_text())}
    return found


@pytest.fixture(scope="module")
def variables() -> set[str]:
    """All that are read; of a pair such as PASSWORD_LENGTH and KEYTURN_PASSWORD_LENGTH, the one without Keyturn's name."""
    every = read_by_engines() | read_from_the_process()
    return {name for name in every if name.removeprefix("KEYTURN_") == name or name.removeprefix("KEYTURN_") not in every}


def parameter(variable: str) -> str:
    """`PasswordLength` for PASSWORD_LENGTH, `CaBundle` for KEYTURN_CA_BUNDLE."""
    return "".join(word.capitalize() for word in variable.removeprefix("KEYTURN_").split("_"))


def test_each_engine_is_asked_about(variables: set[str]) -> None:
    assert variables > {"KEYTURN_ENGINE", "KEYTURN_CA_BUNDLE", "SECRETS_MANAGER_ENDPOINT", "PASSWORD_LENGTH", "KEYTURN_BYTES", "USER_NAME"}


def test_the_pages_name_each_and_no_other(variables: set[str]) -> None:
    text = "\n".join(path.read_text() for path in PAGES.glob("*.md"))
    named = set(re.findall(r"\bKEYTURN_[A-Z_]+[A-Z]\b", text))
    pairs = {name for name in named if name.removeprefix("KEYTURN_") in variables}
    strangers = {name for name in named - variables - pairs - {OF_AN_EXAMPLE} if not name.startswith(OF_TESTS)}
    assert strangers == set()
    assert {name for name in variables if not re.search(rf"\b{name}\b", text)} == set()


def test_the_template_has_a_parameter_for_each_and_no_other(variables: set[str]) -> None:
    given = TEMPLATE["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert given.keys() == variables
    for variable, value in given.items():
        name = parameter(variable)
        assert value == {"Fn::If": [f"Has{name}", {"Ref": name}, {"Ref": "AWS::NoValue"}]}
        assert TEMPLATE["Parameters"][name]["Default"] == ""
        assert variable in TEMPLATE["Parameters"][name]["Description"]
        assert TEMPLATE["Conditions"][f"Has{name}"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]}


def test_what_the_pages_set_in_terraform_is_read(variables: set[str]) -> None:
    pages = [path for path in PAGES.glob("*.md") if path.stem != "own-engine"]  # its class reads variables of its own
    blocks = [block for path in pages for block in re.findall(r"environment\s*=\s*\{(.*?)\}", path.read_text(), re.DOTALL)]
    assert blocks
    named = {name for block in blocks for name in re.findall(r"\b([A-Z][A-Z_]+)\s*=", block)}
    assert {name for name in named if name not in variables and name.removeprefix("KEYTURN_") not in variables} == set()
