"""The documentation as data: pages, code blocks, links, and what is written in backticks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<code>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of code, and where it begins."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that a user may read."""
    found = [*ROOT.glob("*.md"), *(page for folder in ("docs", "examples", "charts") for page in (ROOT / folder).rglob("*.md"))]
    return sorted(found)


def examples() -> list[Path]:
    """Every manifest of examples/; test data of other tools are theirs."""
    return sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "resource_customizations" not in path.parts)


def blocks(*languages: str) -> list[Block]:
    """All blocks in these languages, of all pages."""
    return [block for page in pages() for block in blocks_of(page) if block.language in languages]


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of one page."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        code = textwrap.dedent(found["code"])
        yield Block(page=page, line=text.count("\n", 0, found.start()) + 1, language=found["language"], code=code)


def prose(page: Path) -> str:
    """The page without its blocks."""
    return FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Targets of the page's links that lead to no other site."""
    return [target for target in LINK.findall(prose(page)) if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    return {_anchor(heading) for heading in HEADING.findall(prose(page))}


def in_backticks(page: Path) -> set[str]:
    """What the page's prose has in backticks."""
    return set(CODE.findall(prose(page)))


def _anchor(heading: str) -> str:
    plain = LINK.sub(lambda found: found[0].split("]")[0].lstrip("["), heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
