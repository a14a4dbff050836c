"""Builds the zip of a rotator's Lambda function: the same input gives the same bytes.

What goes in is read from the RECORD of the installed distributions, so nothing is downloaded and what was tested is what is shipped. The
files are stored and not compressed: compressed bytes differ from one zlib to the next. boto3 is left out; Lambda has it.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

ENGINES = {"postgres": ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six")}
HANDLER = "keyturn_rotators.lambda_handler.handler"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows
MODE = 0o100644
UNIX = 3
OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})
CA_BUNDLE = "ca-bundle.pem"


def build(engine: str, *, ca_bundle: Path | None = None) -> bytes:
    """The zip's bytes. Raises KeyError for an engine that is not known."""
    files = dict(_own_files())
    for name in ENGINES[engine]:
        files |= dict(_files_of(distribution(name)))
    if ca_bundle:
        files[CA_BUNDLE] = ca_bundle.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = MODE << 16
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def code_sha256(content: bytes) -> str:
    """The digest as Lambda shows it (CodeSha256)."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")


def _own_files() -> Iterator[tuple[str, bytes]]:
    root = Path(__file__).parent
    for path in root.rglob("*.py"):
        yield f"{root.name}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _files_of(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    for file in installed.files or ():
        path = PurePosixPath(file)
        outside = path.is_absolute() or ".." in path.parts
        if outside or "__pycache__" in path.parts or (path.parts[0].endswith(".dist-info") and path.name in OF_THE_INSTALLER):
            continue
        yield str(path), Path(str(file.locate())).read_bytes()
