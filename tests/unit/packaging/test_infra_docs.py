"""The pages about the rotation function say what its module and its measurement say.

KEYTURN_REGENERATE=1 writes the module's tables; the figures are written by `python -m benchmarks.rotator_zips --write PAGE`.
"""

from __future__ import annotations

import os
import re

import pytest
from benchmarks.rotator_zips import BEGIN, END, LARGER, LARGEST_MB, LONGEST_MS, SLOWER, Row, measure, shown, written
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


def test_the_page_has_figures_of_every_engine_that_are_within_the_limits_or_say_why_not() -> None:
    rows = shown(PAGE.read_text().partition(BEGIN)[2].partition(END)[0])
    missing = ", ".join(sorted(BY_MODULE.keys() - rows.keys()))
    assert not missing, f"measure: python -m benchmarks.rotator_zips {missing} --write {PAGE.relative_to(ROOT)}"
    assert rows.keys() == BY_MODULE.keys()
    for engine, row in rows.items():
        *sizes, handler, whole, remark = [cell.strip() for cell in row.removeprefix(f"| {engine} ").strip("|").split("|")]
        larger = max(_figure(size) for size in sizes if size != "not published") >= LARGEST_MB
        assert _figure(handler) <= LONGEST_MS
        named = [why[engine] for over, why in ((larger, LARGER), (_figure(whole) > LONGEST_MS, SLOWER)) if over]
        assert remark == "; ".join(named)


def _figure(cell: str) -> float:
    return float(cell.split()[0])


def test_a_measurement_has_a_size_for_each_architecture_and_tells_the_engine_from_the_handler() -> None:
    row = measure("postgres", runs=1)
    assert row.sizes.keys() == {"x86_64", "arm64"}
    assert 0 < row.handler < row.whole


@pytest.mark.parametrize(
    ("engine", "size", "handler", "whole", "remark"),
    [
        ("postgres", 9.9, 150.0, 150.0, ""),
        ("postgres", 9.96, 1.0, 2.0, "missed"),
        ("postgres", 1.0, 1.0, 151.0, "missed"),
        ("postgres", 1.0, 151.0, 151.0, "missed"),
        ("ssh", 1.0, 1.0, 263.0, SLOWER["ssh"]),
        ("ssh", 1.0, 151.0, 263.0, "missed"),
        ("ssh", 10.0, 1.0, 263.0, "missed"),
        ("ssh", 1.0, 1.0, 100.0, ""),
        ("db2", 48.0, 1.0, 100.0, LARGER["db2"]),
        ("db2", 48.0, 1.0, 151.0, "missed"),
    ],
)
def test_a_limit_is_missed_unless_the_driver_is_named_to_be_over_it_and_the_handlers_has_no_exceptions(
    engine: str, size: float, handler: float, whole: float, remark: str
) -> None:
    row = Row(engine=engine, sizes={"x86_64": size}, handler=handler, whole=whole)
    assert row.remark == remark
    assert row.met is (remark != "missed")
    assert str(row).endswith(f" ms | {remark} |" if remark else " ms | |")


def test_rows_take_their_old_ones_place_and_leave_the_others_and_the_rest_of_the_page() -> None:
    redis, postgres, other = (Row(engine=name, sizes={"x86_64": 1.0}, handler=1.0, whole=2.0) for name in ("redis", "postgres", "redis"))
    first = written(f"before {BEGIN}\nold\n{END} after", [redis])
    assert first.startswith(f"before {BEGIN}\n")
    assert first.endswith(f"{END} after")
    assert "old" not in first
    second = written(first, [postgres])
    assert shown(second) == {"postgres": str(postgres), "redis": str(redis)}
    assert list(shown(second)) == ["postgres", "redis"]
    assert written(second, [other]) == second


def test_the_row_of_an_engine_that_is_gone_goes_too() -> None:
    gone = Row(engine="abacus", sizes={"x86_64": 1.0}, handler=1.0, whole=2.0)
    assert shown(written(f"{BEGIN}{END}", [gone])) == {}
