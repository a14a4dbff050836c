"""The known providers' declarations, each against a server that answers as its documentation shows. None was run against the provider."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rotators.bench import APP, SUPERUSER, Bench
from tests.rotators.http_api_key_scripts import SCRIPTS, TEAPOT, Script, served
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.http_api_key import Overlap, catalogue
from keyturn_rotators.engines.http_api_key.catalogue import KNOWN
from keyturn_rotators.errors import RotationError, Unsupported
from keyturn_rotators.rotation import Step

UNPROVED = {"grafana-service-account-token"}  # nothing that the provider says of a key tells its id
FOLDER = Path(catalogue.__file__).parent / catalogue.FOLDER


class ScriptedBench(Bench):
    """The declaration as it is shipped, but for its URL and its patience."""

    credential_field = "api_key"

    def __init__(self, name: str, script: Script, url: str, folder: Path) -> None:
        self.script, self.script_name = script, name
        file = folder / f"{name}.toml"
        text = re.sub(r'^url = "[^"]*"', f'url = "{url}"', (FOLDER / f"{name}.toml").read_text(), flags=re.MULTILINE)
        file.write_text(re.sub(r"^settles_within = \d+", "settles_within = 1", text, flags=re.MULTILINE))
        key = {"key_id": script.first.id, "api_key": script.first.value, "ssl": False, "masterarn": SUPERUSER}
        value = {"engine": "http-api-key", "provider": name} | script.secret | key
        super().__init__(Life(), value, superuser={"provider": name, "site": "x"} | script.admin)
        self.environ = {"KEYTURN_PROVIDER_FILE": str(file)}

    def can_login(self, credential: Credential) -> bool:
        return self.script.holder(credential.text("api_key")) is not None


@pytest.fixture(params=KNOWN)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScriptedBench]:
    script = SCRIPTS[request.param]()
    with served(script) as url:
        yield ScriptedBench(request.param, script, url, tmp_path)


def test_every_known_provider_has_its_script() -> None:
    assert set(SCRIPTS) == set(KNOWN)


def test_a_key_is_rotated_twice_and_the_first_is_retired(bench: ScriptedBench) -> None:
    first = bench.current_version()
    bench.rotate()
    second = bench.current
    assert bench.can_login(bench.version(first))
    bench.step(Step.RETIRE, first)
    assert not bench.can_login(bench.version(first))
    bench.rotate()
    assert bench.can_login(second)
    assert bench.can_login(bench.current)
    assert str(bench.current.get("key_id")) != str(second.get("key_id"))


def test_the_new_key_may_do_what_the_old_one_may(bench: ScriptedBench) -> None:
    bench.rotate()
    granted = [key.extra for key in bench.script.keys.values()]
    assert len(granted) == 2
    assert granted[0] == granted[1]


RESTRICTED: dict[str, dict[str, object]] = {
    "cloudflare-account-token": {"condition": {"request_ip": {"in": ["192.0.2.0/24"], "not_in": ["192.0.2.1/32"]}}},
    "datadog-api-key": {"remote_config_read_enabled": False},
}


@pytest.mark.parametrize("bench", sorted(RESTRICTED), indirect=True)
def test_what_restricts_the_old_key_restricts_the_new_one(bench: ScriptedBench) -> None:
    restriction = RESTRICTED[bench.script_name]
    bench.script.first.extra |= restriction
    bench.rotate()
    made = bench.script.holder(bench.current.text("api_key"))
    assert made is not None
    assert made.extra.items() >= restriction.items()


def test_a_key_that_was_made_and_lost_is_found_by_its_label_and_revoked(bench: ScriptedBench) -> None:
    lost = Overlap.from_environment(bench.environ).propose(bench.current, Context(bench.store, APP, Deadline.after(60)))
    bench.rotate()
    assert not bench.can_login(lost)
    assert len(bench.script.keys) == 2
    assert all(len(key.name) <= 64 for key in bench.script.keys.values())


@pytest.mark.parametrize("bench", sorted(set(KNOWN) - UNPROVED), indirect=True)
def test_a_key_that_the_secret_only_names_is_not_rotated(bench: ScriptedBench) -> None:
    bench.edit(APP, key_id=bench.script.make("another app's", "99", "of-another-app", **bench.script.first.extra).id)
    with pytest.raises(RotationError):
        bench.step(Step.CREATE, bench.store.start(APP))
    assert len(bench.script.keys) == 2


def test_a_retired_key_is_not_restored(bench: ScriptedBench) -> None:
    first = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, first)
    with pytest.raises(Unsupported):
        bench.step(Step.RESTORE, first)


def test_an_administrator_who_is_refused_is_told_as_such(bench: ScriptedBench) -> None:
    bench.edit(SUPERUSER, **dict.fromkeys(bench.script.admin, "wrong-value"))
    with pytest.raises(RotationError, match=f"secret {SUPERUSER}") as refused:
        bench.step(Step.CREATE, bench.store.start(APP))
    assert "wrong-value" not in str(refused.value)
    assert not re.search(rf"\b{TEAPOT}\b", str(refused.value))  # a port may have its digits
