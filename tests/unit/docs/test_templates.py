"""Templates that are shown can be read, and the guide's list of filters is the code's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.support.docs import ROOT, blocks, examples, in_backticks

from keyturn.domain.cron import check
from keyturn.domain.fields import fields_of
from keyturn.domain.filters import FILTERS
from keyturn.domain.templates import check_template, render_template

SECRET = '{"username": "app", "password": "a/b", "host": "db", "port": 5432, "dbname": "orders", "ssl": false}'


def documents() -> Iterator[Any]:
    """Everything in YAML that is shown."""
    for text in [*(block.code for block in blocks("yaml")), *(path.read_text() for path in examples())]:
        yield from yaml.safe_load_all(text)


def below(node: Any, *path: str) -> Iterator[Any]:
    """What stands at the end of that path, wherever it begins."""
    if isinstance(node, dict):
        found: Any = node
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            yield found
        for inner in node.values():
            yield from below(inner, *path)


TEMPLATES = sorted({text for node in documents() for found in below(node, "target", "template") for text in found.values()})


@pytest.mark.parametrize("text", TEMPLATES)
def test_every_template_that_is_shown_can_be_read_and_rendered(text: str) -> None:
    assert check_template("KEY", text) is None
    assert "{" not in render_template("KEY", text, fields_of(SECRET))


def test_every_cron_that_is_shown_can_be_read() -> None:
    expressions = [text for node in documents() for text in below(node, "schedule", "cron")]
    for expression in expressions:
        check(expression)
    assert expressions


def test_the_guide_names_every_filter() -> None:
    named = {text.partition("(")[0] for text in in_backticks(ROOT / "docs" / "guide.md")}
    assert {*FILTERS, "default"} <= named
