"""A page of docs/rotators as data: what it says is enough is tried, and compared with what a rotation really asks for."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable

from tests.support.docs import ROOT, blocks_of

from keyturn_rotators.credential import Credential

PAGES = ROOT / "docs" / "rotators"


class RotatorPage:
    """By the name of its file."""

    def __init__(self, name: str) -> None:
        self.path = PAGES / f"{name}.md"
        self.text = self.path.read_text()

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def blocks(self, language: str) -> list[str]:
        """The code of its blocks in a language."""
        return [block.code for block in blocks_of(self.path) if block.language == language]

    def block(self, language: str, having: str) -> str:
        """The one block of a language with these words in it."""
        [block] = [block for block in self.blocks(language) if having in block]
        return block

    def secret(self) -> Credential:
        """The example of a secret: its first JSON."""
        return Credential.parse(self.blocks("json")[0], secret="documented")

    def line(self, pattern: str) -> re.Match[str]:
        """The line that the pattern finds."""
        found = re.search(pattern, self.text, re.MULTILINE)
        assert found is not None, f"{self.path.name} has no line {pattern}"
        return found

    def assert_policy_is_for(self, calls: Iterable[tuple[str, str]]) -> None:
        """Its policy allows the calls (action, `app` or `superuser`) that were made, each for its secret, and no others."""
        made: defaultdict[str, set[str]] = defaultdict(set)
        for action, secret in calls:
            made[secret].add(f"secretsmanager:{action}")
        rotate, read = json.loads(self.block("json", having='"Statement"'))["Statement"]
        assert made == {"app": set(rotate["Action"]), "superuser": {read["Action"]}}
