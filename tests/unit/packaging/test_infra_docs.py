"""The pages about the rotation function say what its module and its measurement say.

KEYTURN_REGENERATE=1 writes the module's tables; the figures are written by `python -m benchmarks.rotator_zips --write PAGE`.
"""

from __future__ import annotations

import os
import re

import pytest
from benchmarks.rotator_zips import BEGIN, END, Row, measure, table, written
from tests.unit.packaging.dockerfile import ROOT

from keyturn_rotators.engines.registry import BY_MODULE

MODULE = ROOT / "infra" / "terraform" / "rotator"
PAGE = ROOT / "docs" / "rotators" / "lambda.md"


def variables() -> list[str]:
    """A row for each variable of the module."""
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (MODULE / "variables.tf").read_text(), re.DOTALL | re.MULTILINE)
    rows = ["| name | | default |", "|---|---|---|"]
    for name, body in blocks:
        default = re.search(r"^  default\s*= (.*)$", body, re.MULTILINE)
        rows.append(f"| `{name}` | {_description(body)} | {f'`{default[1]}`' if default else 'required'} |")
    return rows


def outputs() -> list[str]:
    """A row for each output of the module."""
    blocks = re.findall(r'^output "(\w+)" \{\n(.*?)^\}', (MODULE / "outputs.tf").read_text(), re.DOTALL | re.MULTILINE)
    return ["| name | |", "|---|---|", *(f"| `{name}` | {_description(body)} |" for name, body in blocks)]


def _description(body: str) -> str:
    found = re.search(r'description = "(.*)"', body)
    assert found, "every variable and output has a description"
    return found[1]


def test_the_modules_page_lists_its_variables_and_outputs_as_they_are() -> None:
    page = MODULE / "README.md"
    begin, _, _ = page.read_text().partition("## Variables\n")
    wanted = "\n".join([f"{begin}## Variables\n", *variables(), "\n## Outputs\n", *outputs()]) + "\n"
    if os.environ.get("KEYTURN_REGENERATE"):
        page.write_text(wanted)
    assert page.read_text() == wanted


def test_the_page_has_figures_of_every_engine() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    engines = set(re.findall(r"^\| (\w+) \|", shown, re.MULTILINE)) - {"engine"}
    assert engines == BY_MODULE.keys(), f"measure again: python -m benchmarks.rotator_zips --write {PAGE.relative_to(ROOT)}"
    assert "(missed)" not in shown


def test_a_measurement_has_a_size_for_each_architecture_and_counts_the_engine_to_the_import() -> None:
    row = measure("postgres", runs=1)
    assert row.sizes.keys() == {"x86_64", "arm64"}
    assert 0 < row.handler < row.whole


@pytest.mark.parametrize(
    ("engine", "size", "seconds", "met"),
    [("postgres", 9.9, 150.0, True), ("postgres", 10.0, 1.0, False), ("postgres", 1.0, 150.1, False), ("db2", 48.0, 1.0, True)],
)
def test_limits_hold_for_sizes_and_times_but_for_the_drivers_that_are_named(engine: str, size: float, seconds: float, met: bool) -> None:
    row = Row(engine=engine, sizes={"x86_64": size}, handler=1.0, whole=seconds)
    assert row.met is met
    assert ("(missed)" in str(row)) is not met


def test_a_new_table_takes_the_old_ones_place_and_leaves_the_rest_of_the_page() -> None:
    rows = [Row(engine="postgres", sizes={"x86_64": 1.0, "arm64": 1.0}, handler=1.0, whole=2.0)]
    once = written(f"before {BEGIN}\nold\n{END} after", table(rows))
    assert once.startswith(f"before {BEGIN}\n")
    assert once.endswith(f"{END} after")
    assert "old" not in once
    assert written(once, table(rows)) == once
