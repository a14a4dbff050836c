"""Commands, make targets, fields and metrics that the documentation names are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import pytest
from tests.support.docs import ROOT, blocks, blocks_of, in_backticks, pages

from keyturn.api import KINDS
from keyturn.api.crd import documents
from keyturn.cli.main import commands
from keyturn.telemetry.metrics import Metrics

PAGES = pages()
TERMINAL = ("console", "bash", "sh")
FIELD = re.compile(r"((?:spec|status|rotation|target|rollout|connectionRef)(?:\.[A-Za-z]+(?:\[\])?)+)(?:: [\w/.-]+)?")
OF_PODS = frozenset({"status.podIP"})
METRIC = re.compile(r"keyturn_[a-z_]+")
MODULES = frozenset({"keyturn_lab", "keyturn_rotators"})


def typed() -> list[str]:
    """Every line of the pages' terminals, without prompt and comment."""
    lines = (line for block in blocks(*TERMINAL) for line in block.code.replace("\\\n", " ").splitlines())
    return [line.removeprefix("$ ").partition(" #")[0].strip() for line in lines]


def calls_of_keyturn() -> list[str]:
    """Every call of the command, in terminals and in prose."""
    inline = {text for page in PAGES for text in in_backticks(page) if text.startswith("keyturn ") and len(text.split()) > 2}
    parts = [part.strip() for line in typed() for part in line.split("|")]
    return sorted(inline | {part for part in parts if part.startswith(("keyturn ", "kubectl keyturn "))})


@pytest.mark.parametrize("call", calls_of_keyturn())
def test_the_command_understands_every_call_that_is_shown(call: str) -> None:
    words = shlex.split(call.removeprefix("kubectl "))[1:]
    with click.Context(commands) as context:
        name, command, rest = commands.resolve_command(context, words)
        assert command is not None
        assert command.make_context(name, rest, parent=context)


def test_every_subcommand_is_shown_somewhere() -> None:
    shown = {call.removeprefix("kubectl ").split()[1] for call in calls_of_keyturn()}
    assert set(commands.commands) - shown - {"run"} == set()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [*typed(), *(text for page in PAGES for text in in_backticks(page))]
    named = {match for text in texts for match in re.findall(r"^make ([a-z-]+)", text)}
    assert {"demo", "test"} <= named <= targets


@lru_cache
def schemas() -> list[Mapping[str, Any]]:
    """The schemas of our kinds."""
    return [crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in documents()]


def has(schema: Mapping[str, Any], path: list[str]) -> bool:
    """Whether the schema knows the field."""
    if not path:
        return True
    inner = schema.get("items", schema)
    if path[0] in inner.get("properties", {}):
        return has(inner["properties"][path[0]], path[1:])
    return "additionalProperties" in inner and has(inner["additionalProperties"], path[1:])


def fields() -> Iterator[str]:
    """Every field that a page names, from the top of its object."""
    for page in PAGES:
        for text in in_backticks(page):
            match = FIELD.fullmatch(text)
            if match and text not in OF_PODS:
                path = match[1].replace("[]", "")
                yield path if path.startswith(("spec.", "status.")) else f"spec.{path}"


@pytest.mark.parametrize("path", sorted(set(fields())))
def test_every_field_that_is_named_is_in_the_schema_of_a_kind(path: str) -> None:
    assert any(has(schema, path.split(".")) for schema in schemas())


def test_a_field_that_is_not_in_any_schema_is_found() -> None:
    assert len(KINDS) == len(schemas())
    assert not any(has(schema, ["spec", "rollout", "patience"]) for schema in schemas())


def test_the_guide_lists_every_metric_and_no_other() -> None:
    metrics = Metrics(version="0")
    metrics.count_resources(list)
    exposed = set(re.findall(r"^# TYPE (keyturn_[a-z_]+)", metrics.render().decode(), re.MULTILINE))
    guide = ROOT / "docs" / "guide.md"
    assert {name for text in in_backticks(guide) for name in METRIC.findall(text)} - MODULES == exposed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_its_language_or_is_a_picture(page: Path) -> None:
    known = {"", "yaml", "json", "sql", "console", "python", "lua", "hcl", "bash", "text"}
    assert [str(block) for block in blocks_of(page) if block.language not in known] == []
