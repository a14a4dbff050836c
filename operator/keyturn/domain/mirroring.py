"""AWSCURRENT's value -> the data of the Secret.

The only pure code that sees a value. What cannot be rendered comes back as a reason, so that the last good content stays; a reason names
fields, keys and types, never values, and no exception leaves with a value in its frames.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.api import SecretType, Target
from keyturn.domain.fields import VALUE, ContentError, Fields, encodable, fields_of, shown, text_of
from keyturn.domain.templates import render_template
from keyturn.domain.values import Content as Content
from keyturn.domain.values import SecretValue as SecretValue

MAX_SIZE: Final = 1024 * 1024  # the API server's limit for the values of one Secret
_DATA_KEY: Final = re.compile(r"(?!\.\.)(?!\.$)[-._a-zA-Z0-9]{1,253}")
_NEEDED: Final[Mapping[SecretType, tuple[str, ...]]] = {
    SecretType.TLS: ("tls.crt", "tls.key"),
    SecretType.SSH_AUTH: ("ssh-privatekey",),
    SecretType.DOCKER_CONFIG_JSON: (".dockerconfigjson",),
}


@dataclass(frozen=True, slots=True)
class ContentInvalid:
    """Why there is no content, in one sentence: the condition's message."""

    message: str
    reason: str = "ContentInvalid"


def render(value: SecretValue, target: Target, *, spec_name: str) -> Content | ContentInvalid:
    """The whole data of the Secret, or why there is none. `spec_name` is what messages call the AWS secret."""
    try:
        data = _data(value.reveal(), target)
    except ContentError as error:
        return ContentInvalid(f'Secret "{spec_name}" {error}.')
    except Exception as error:  # the boundary of the code that sees values: a defect in it may put one into its exception's text
        return ContentInvalid(f'Secret "{spec_name}" cannot be rendered: a defect in Keyturn ({type(error).__name__}); please report it.')
    return Content(data)


def shape(target: Target) -> str:
    """A digest of what in the spec decides about the content, so that an edit of it is noticed."""
    parts = {
        "type": target.type.value,
        "keys": None if target.keys is None else sorted((mapping.to, mapping.from_) for mapping in target.keys),
        "template": target.template,
        "require": sorted(target.require),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _data(revealed: str | bytes, target: Target) -> dict[str, bytes]:
    data = _of_bytes(revealed, target) if isinstance(revealed, bytes) else _of_text(revealed, target)
    _check_type(target.type, data)
    if sum(len(value) for value in data.values()) > MAX_SIZE:
        raise ContentError("makes a Secret of more than 1 MiB, which the API server does not take")
    return data


def _of_bytes(revealed: bytes, target: Target) -> dict[str, bytes]:
    """A binary secret has the one field `value`, and no text for templates."""
    if target.template:
        raise ContentError("is binary, and spec.target.template works on text only; use spec.target.keys")
    _require(target, {VALUE} if revealed else set())
    mapped = _mapping(target, [VALUE])
    _check_mapped(mapped, {VALUE})
    return dict.fromkeys(mapped, revealed)


def _of_text(revealed: str, target: Target) -> dict[str, bytes]:
    fields = fields_of(revealed)
    _require(target, {name for name, field in fields.items() if text_of(field)})
    mapped = _mapping(target, fields)
    _check_mapped(mapped, fields)
    data = {key: _utf8(text_of(fields[name])) for key, name in mapped.items()}
    return data | _rendered(target, fields)  # a template may stand in for a field of its name that nobody mapped


def _mapping(target: Target, names: Mapping[str, object] | list[str]) -> dict[str, str]:
    """Data key to field."""
    if target.keys is not None:
        return {mapping.to: mapping.from_ for mapping in target.keys}
    return {name: name for name in names}


def _check_mapped(mapped: Mapping[str, str], names: Mapping[str, object] | set[str]) -> None:
    for key, name in mapped.items():
        if name not in names:
            raise ContentError(f"has no field {shown(name)}, which spec.target.keys maps to {shown(key)}")
        if not _DATA_KEY.fullmatch(key):
            raise ContentError(f"has a field {shown(key)} that cannot be a data key; map those that are needed in spec.target.keys")


def _rendered(target: Target, fields: Fields) -> dict[str, bytes]:
    return {key: _utf8(render_template(key, text, fields)) for key, text in target.template.items()}


def _require(target: Target, filled: set[str]) -> None:
    lacking = [shown(name) for name in target.require if name not in filled]
    if lacking:
        raise ContentError(f"lacks {', '.join(lacking)}, or has nothing in it, and spec.target.require asks for it")


def _check_type(kind: SecretType, data: Mapping[str, bytes]) -> None:
    """What the API server and those who read the type expect; an empty key is no better than none."""
    if kind is SecretType.BASIC_AUTH and not (data.get("username") or data.get("password")):
        raise ContentError(f"gives neither username nor password, one of which the type {kind.value} needs; map one in spec.target.keys")
    for key in _NEEDED.get(kind, ()):
        if not data.get(key):
            raise ContentError(f"gives no {key}, which the type {kind.value} needs; map it in spec.target.keys or make it by a template")
    if kind is SecretType.DOCKER_CONFIG_JSON and not _has_auths(data[".dockerconfigjson"]):
        raise ContentError("gives a .dockerconfigjson that is not a JSON object with auths")


def _has_auths(document: bytes) -> bool:
    try:
        config = json.loads(document)
    except (ValueError, RecursionError):
        return False
    return isinstance(config, dict) and isinstance(config.get("auths"), dict)


def _utf8(text: str) -> bytes:
    if not encodable(text):
        raise ContentError("has text that cannot be written as UTF-8")
    return text.encode()
