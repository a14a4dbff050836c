"""Volumes as files: what a pod's volumes hold, written as kubelet's AtomicWriter does.

`..data` is a symlink to a directory named by the time, and each file a symlink through it; an update makes a new directory and swaps the
one link, so a reader sees all of the old content or all of the new.
https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from keyturn_lab.node.api import Json
from keyturn_lab.node.cache import Kind
from keyturn_lab.node.references import Missing, References

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600
MATERIALISED = ("secret", "configMap", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume."""

    content: bytes = field(repr=False)
    mode: int


async def files_of(volume: Json, references: References) -> dict[str, File]:
    """The files of a volume, by their path in it. Raises Missing while something that it needs is not there."""
    if projected := volume.get("projected"):
        sources, mode = projected.get("sources") or [], projected.get("defaultMode", DEFAULT_MODE)
    else:
        kind = next(kind for kind in MATERIALISED if kind in volume)
        sources, mode = [{kind: volume[kind]}], volume[kind].get("defaultMode", DEFAULT_MODE)
    files: dict[str, File] = {}
    for source in sources:
        files |= await _source(source, references, mode)
    return files


async def _source(source: Json, references: References, mode: int) -> dict[str, File]:
    if secret := source.get("secret"):
        return await _keys("secrets", secret.get("secretName") or secret["name"], secret, references, mode)
    if config := source.get("configMap"):
        return await _keys("configmaps", config["name"], config, references, mode)
    if token := source.get("serviceAccountToken"):
        content = await references.token(token.get("audience"), token.get("expirationSeconds", TOKEN_SECONDS))
        return {token["path"]: File(content, mode)}
    items = (source.get("downwardAPI") or {}).get("items") or []
    return {item["path"]: File(references.field(item["fieldRef"]["fieldPath"]).encode(), item.get("mode", mode)) for item in items}


async def _keys(kind: Kind, name: str, source: Json, references: References, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    data = await references.data(kind, name, optional=optional)
    if "items" not in source:
        return {key: File(content, mode) for key, content in data.items()}
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not optional:
            raise Missing(f'{kind[:-1]} "{name}" references non-existent key: {item["key"]}')
    return files


def write_atomically(directory: Path, files: dict[str, File]) -> bool:
    """Make the volume hold exactly these files; says whether anything had to change."""
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "..data"
    old = directory / os.readlink(link) if link.is_symlink() else None
    if old is not None and _contents(old) == {path: file.content for path, file in files.items()}:
        return False
    new = directory / datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.%f")
    new.mkdir()
    for path, file in files.items():
        _write(new / path, file)
    _swap(link, new.name)
    _link_names(directory, {path.split("/")[0] for path in files})
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, file.mode)
    with os.fdopen(descriptor, "wb") as output:
        output.write(file.content)
        os.fchmod(descriptor, file.mode)  # whatever the umask says


def _swap(link: Path, target: str) -> None:
    scratch = link.with_name("..data_tmp")
    scratch.symlink_to(target)
    scratch.rename(link)


def _link_names(directory: Path, names: set[str]) -> None:
    for name in names:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
