"""The lines of authorized_keys: which are this secret's, and what becomes of them. All other lines stay, byte for byte.

A line is this secret's where it has one of the secret's keys, or a comment with its mark.
https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.engines.ssh.keys import PublicKey

TYPE = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+")
OPTIONS = re.compile(r'(?:[^\s"]|"(?:\\"|[^"])*")+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One key of the file."""

    options: str  # such as from="10.0.0.0/8",restrict
    key: PublicKey
    comment: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what is no key: comments, empty lines, whatever sshd would not read either."""
        rest, options = text.strip(), ""
        if rest.startswith("#"):
            return None
        if not TYPE.fullmatch(rest.partition(" ")[0].partition("\t")[0]):
            found = OPTIONS.match(rest)
            if not found:
                return None
            options, rest = found[0], rest[found.end() :].lstrip()
        words = rest.split(None, 2)
        if len(words) < 2 or not TYPE.fullmatch(words[0]):
            return None
        return cls(options=options, key=PublicKey(words[0], words[1]), comment=words[2] if len(words) > 2 else "")

    def has_mark(self, beginning: str) -> bool:
        return any(word.startswith(beginning) for word in self.comment.split())

    def __str__(self) -> str:
        return " ".join(part for part in (self.options, str(self.key), self.comment) if part)


class AuthorizedKeys:
    """A file's text. Nothing of it is changed in place."""

    def __init__(self, content: bytes) -> None:
        # Whatever bytes other people's comments are made of.
        self._lines = content.decode("utf-8", errors="surrogateescape").split("\n")

    def __bytes__(self) -> bytes:
        return "\n".join(self._lines).encode("utf-8", errors="surrogateescape")

    def find(self, key: PublicKey) -> Line | None:
        """The first line of a key, which is the one that sshd goes by."""
        return next((line for line in map(Line.parse, self._lines) if line and line.key == key), None)

    def with_key(self, key: PublicKey, *, like: Line, mark: str) -> "AuthorizedKeys":
        """With a key that may do what another may, and is marked. A line that is there stays as it is."""
        if self.find(key):
            return self
        added = str(Line(options=like.options, key=key, comment=mark))
        head = self._lines[:-1] if self._lines[-1] == "" else self._lines
        return self._of([*head, added, ""])

    def marking(self, key: PublicKey, *, beginning: str, mark: str) -> "AuthorizedKeys":
        """With the mark on the key's lines, after the comment that is there."""
        return self._of([f"{text.rstrip()} {mark}" if self._lacks(text, key, beginning) else text for text in self._lines])

    def without_keys(self, *keys: PublicKey) -> "AuthorizedKeys":
        return self._of([text for text in self._lines if not ((line := Line.parse(text)) and line.key in keys)])

    def without_marked(self, beginning: str, *, but: Collection[PublicKey]) -> "AuthorizedKeys":
        """Without what earlier rotations have left."""
        lines = [(text, Line.parse(text)) for text in self._lines]
        return self._of([text for text, line in lines if not (line and line.has_mark(beginning) and line.key not in but)])

    @staticmethod
    def _lacks(text: str, key: PublicKey, beginning: str) -> bool:
        line = Line.parse(text)
        return line is not None and line.key == key and not line.has_mark(beginning)

    @staticmethod
    def _of(lines: list[str]) -> "AuthorizedKeys":
        return AuthorizedKeys("\n".join(lines).encode("utf-8", errors="surrogateescape"))
