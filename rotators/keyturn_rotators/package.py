"""Builds the zip of an engine's Lambda function: the same input gives the same bytes.

Files are stored and not compressed, because compressed bytes differ from one zlib to the next. Only a zip with C code is compressed, which
would be too large else; for that one `contents_sha256` says whether two zips hold the same. boto3 is left out; Lambda has it.
"""

import base64
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from keyturn_rotators.drivers import MACHINES, DriverError, Target, collected, portable, published
from keyturn_rotators.engines.registry import BY_MODULE
from keyturn_rotators.sources import PACKAGE, ROOT, added_files, own_files
from keyturn_rotators.tls import PACKAGED, RDS_BUNDLE

HANDLER = "keyturn_rotators.lambda_handler.handler"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows
MODE = 0o100644
UNIX = 3
LEVEL = 9
WRITTEN = frozenset({"__pycache__", "db2dump"})
"""Folders that are written to where a distribution is installed: by Python, and by IBM's client, which keeps its log there."""
OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})


def is_portable(engine: str) -> bool:
    """Whether one zip does for every architecture and Python. Raises KeyError for an engine that is not known."""
    return portable(BY_MODULE[engine].drivers)


def architectures(engine: str) -> list[str]:
    """Those that the engine's driver can be had for. Raises KeyError for an engine that is not known."""
    return [name for name in MACHINES if published(BY_MODULE[engine].drivers, name)]


def build(engine: str, *, target: Target | None = None, ca_bundle: Path | None = None, add: Sequence[Path] = ()) -> bytes:
    """The zip's bytes, with the files and folders of `add` at its top.

    Raises KeyError for an engine that is not known, DriverError where its driver cannot be had, OSError for a file that cannot be read.
    """
    entry = BY_MODULE[engine]
    added = added_files(add)
    own = own_files(entry.module, besides=[path for path in added.values() if path.suffix == ".py"])
    files = {path: file.read_bytes() for path, file in (own | added).items()}
    if entry.rds:
        files[f"{PACKAGE}/{RDS_BUNDLE}"] = (ROOT / RDS_BUNDLE).read_bytes()
    if ca_bundle:
        files[PACKAGED] = ca_bundle.read_bytes()
    with tempfile.TemporaryDirectory(prefix="keyturn-drivers-") as directory:
        for found in collected(entry.drivers, target=target or Target(), directory=Path(directory)):
            files |= dict(_files_of(found))
    return _zipped(files, zipfile.ZIP_STORED if is_portable(engine) else zipfile.ZIP_DEFLATED)


def code_sha256(content: bytes) -> str:
    """The digest as Lambda shows it (CodeSha256)."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")


def contents_sha256(content: bytes) -> str:
    """A digest of the names and the files in a zip, however they are compressed."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            digest.update(f"{name}\n{hashlib.sha256(archive.read(name)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _zipped(files: dict[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=LEVEL) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = MODE << 16
            entry.compress_type = method
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def _files_of(found: Distribution) -> Iterator[tuple[str, bytes]]:
    for file in found.files or ():
        path = PurePosixPath(file)
        outside = path.is_absolute() or ".." in path.parts or path.parts[0] == "bin"
        if outside or WRITTEN & set(path.parts) or (path.parts[0].endswith(".dist-info") and path.name in OF_THE_INSTALLER):
            continue
        content = Path(str(file.locate())).read_bytes()
        if file.hash and file.hash.value != _digest(content, file.hash.mode):
            raise DriverError(f"{path} of {found.name} has been changed since it was installed")
        yield str(path), content


def _digest(content: bytes, mode: str) -> str:
    """As RECORD writes it: https://packaging.python.org/en/latest/specifications/recording-installed-packages/"""
    return base64.urlsafe_b64encode(hashlib.new(mode, content).digest()).rstrip(b"=").decode("ascii")
