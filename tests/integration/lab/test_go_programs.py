"""Programs from pinned Go modules: built once whoever asks, found whole or not at all, and for every module of the lab."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.eventually import wait_until
from tests.unit.packaging.dockerfile import ROOT

from keyturn_lab import argo_rollouts
from keyturn_lab.backends import mongo_wire, mysql_wire
from keyturn_lab.controlplane.binaries import Module
from keyturn_lab.go_programs import program

FAKE_GO = """#!/bin/sh
[ "$1" = version ] && echo go version go1.99.0 linux/amd64 && exit
echo built >> {builds}
until [ -e {may_end} ]; do sleep 0.05; done
while [ "$1" != -o ]; do shift; done
echo the program > "$2"; chmod 755 "$2"
"""
ASK = """
import sys
from pathlib import Path
from keyturn_lab.controlplane.binaries import Module
from keyturn_lab.go_programs import program
print("asking", flush=True)
module = Module(directory=Path(sys.argv[1]), flags=(), packages={"served": "."})
print(program(module, log=lambda line: None).read_text())
"""
BUILT_BEFORE_TESTS = {"backends": (mysql_wire, mongo_wire), "test-host": (argo_rollouts,)}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module; the user's cache is empty, and Go is a script that ends when `may-end` is there."""
    source, tools = tmp_path / "served", tmp_path / "tools"
    for folder in (source, tools):
        folder.mkdir()
    (source / "go.mod").write_text("module served\n")
    (source / "go.sum").touch()
    (tools / "go").write_text(FAKE_GO.format(builds=tmp_path / "builds", may_end=tmp_path / "may-end"))
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield source
    (tmp_path / "may-end").touch()


def builds(source: Path) -> int:
    file = source.parent / "builds"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_program_is_built_into_an_empty_cache_and_found_there_from_then_on(source: Path) -> None:
    (source.parent / "may-end").touch()
    module = Module(directory=source, flags=(), packages={"served": "."})
    first = program(module, log=lambda line: None)
    assert first.is_relative_to(source.parent / "cache")
    assert os.access(first, os.X_OK)
    assert program(module, log=lambda line: None) == first
    assert builds(source) == 1


def test_processes_that_ask_at_once_wait_for_one_build_and_find_it_whole(source: Path) -> None:
    asking = [subprocess.Popen([sys.executable, "-c", ASK, str(source)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        for one in asking:
            assert one.stdout is not None
            assert one.stdout.readline() == "asking\n"
        wait_until(lambda: builds(source), what="a build")
        (source.parent / "may-end").touch()
        answers = [one.communicate(timeout=60)[0].strip() for one in asking]
    finally:
        for one in asking:
            one.kill()
            one.wait()
    assert answers == ["the program"] * 4
    assert builds(source) == 1


@pytest.mark.parametrize("target", BUILT_BEFORE_TESTS)
def test_make_builds_every_program_before_the_tests_that_run_it(target: str) -> None:
    _, _, rest = (ROOT / "Makefile").read_text().partition(f"\n{target}:")
    recipe, _, _ = rest.partition("\n\n")
    built = re.findall(r"-m keyturn_lab\.go_programs((?: keyturn_lab[\w.]*)+)", recipe)
    assert " ".join(built).split() == [module.__name__ for module in BUILT_BEFORE_TESTS[target]]


def test_every_module_is_pinned() -> None:
    modules = [module.MODULE.directory for named in BUILT_BEFORE_TESTS.values() for module in named]
    assert sorted(modules) == sorted(path.parent for path in (ROOT / "lab").rglob("go.mod") if "controlplane" not in path.parts)
    assert all((folder / "go.sum").is_file() for folder in modules)
