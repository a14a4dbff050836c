"""Every link between pages leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.docs import ROOT, anchors, links, pages

PAGES = pages()


def broken(page: Path, *, root: Path = ROOT) -> list[str]:
    """The links of a page whose file or heading is not there, or is outside the project."""
    return [target for target in links(page) if not _leads_somewhere(page, target, root)]


def _leads_somewhere(page: Path, target: str, root: Path) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists() or not file.is_relative_to(root):
        return False
    return not anchor or (file.suffix == ".md" and anchor in anchors(file))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken(page) == []


def test_every_page_of_docs_can_be_reached_from_its_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached, todo = set[Path](), [index]
    while todo:
        page = todo.pop()
        reached.add(page)
        near = [(page.parent / target.partition("#")[0]).resolve() for target in links(page) if target.partition("#")[0].endswith(".md")]
        todo += [other for other in near if other.exists() and other not in reached]
    assert [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in reached] == []


def test_a_link_to_a_heading_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n\n[good](#one-heading) [bad](#another) [gone](nothing.md)\n")
    assert broken(page, root=tmp_path) == ["#another", "nothing.md"]
