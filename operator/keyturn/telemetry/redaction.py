"""What a log record may show. Secret values do not come here by design; this is for the day when a design fails.

Three nets: an exception shows its type and where it went, and its message only where that is known to hold no input; mappings that look
like a Secret's data, and credentials that are known by their form, are masked; and whoever handles a value can hide it meanwhile.
"""

from __future__ import annotations

import re
import traceback
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from keyturn.domain.failures import OutsideError

MASK = "[redacted]"
TEXT_LIMIT = 8192
SHORTEST = 4  # characters: what is shorter hides nothing and would blank whole lines

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_SPEAKING = (OutsideError, OSError, ImportError, AttributeError, NameError, TypeError, RecursionError, NotImplementedError)
_FIELD = r"(?:data|stringData|SecretString|SecretBinary|password|token|secret_?access_?key|aws_secret_access_key|aws_session_token)"
_PATTERNS = (
    # "password": "…", 'data': {…}: JSON and Python's repr of it, one level of braces deep
    re.compile(rf"""(?i)(["']{_FIELD}["']\s*:\s*)(?:\{{[^{{}}]*\}}?|b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?)"""),
    re.compile(r"""(?i)\b(Authorization["']?\s*[:=]\s*["']?)(?:\w+\s+)?[\w.~+/=-]{8,}"""),
    re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"),
    re.compile(r"(?i)\b(password\s*=\s*)[^\s,;)&]+"),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


class Redactor:
    """Masks text. One for the process."""

    def __init__(self) -> None:
        self._hidden: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"Redactor({len(self._hidden)} hidden)"

    @contextmanager
    def hiding(self, *values: str | bytes) -> Iterator[None]:
        """While this is open, the values, their base64 and their escaped forms are masked wherever they stand."""
        forms = [form for value in values for form in _forms(value)]
        self._hidden.update(forms)
        try:
            yield
        finally:
            self._hidden.subtract(forms)
            self._hidden += Counter()  # forget those that nobody hides any more

    def text(self, text: str) -> str:
        """The text without credentials, and not without end."""
        for value in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(value, MASK)
        text = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}... ({len(text) - TEXT_LIMIT} more)"
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text

    def exception(self, info: ExcInfo) -> str:
        """A traceback whose exceptions say no more than they may."""
        return self.text("\n".join(_told(info[1], set())))


def _forms(value: str | bytes) -> set[str]:
    raw = value.encode() if isinstance(value, str) else value
    text = raw.decode(errors="replace")
    forms = {text, b64encode(raw).decode(), repr(text)[1:-1], text.encode("unicode_escape").decode()}
    return {form for form in forms if len(form) >= SHORTEST}


def _told(error: BaseException, told: set[int]) -> list[str]:
    """Causes first, as Python prints them; messages only of exceptions that are known not to quote their input."""
    told.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [*_told(cause, told), "which led to:"] if cause is not None and id(cause) not in told else []
    frames = [f'  File "{f.filename}", line {f.lineno}, in {f.name}' for f in traceback.extract_tb(error.__traceback__)]
    message = f": {error}" if type(error).__str__ in _STRS and isinstance(error, _SPEAKING) else ""
    parts = [line for part in getattr(error, "exceptions", ()) if isinstance(part, BaseException) for line in _told(part, told)]
    return [*lines, *frames, f"{type(error).__module__}.{type(error).__qualname__}{message}", *parts]


_STRS = {Exception.__str__, OSError.__str__, ImportError.__str__, AttributeError.__str__}
