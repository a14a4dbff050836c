"""Which of our own files an engine's function needs: the handler, the engine, and whatever those import.

Other engines stay out, so that a zip says by its content what it can do, and a change of one engine changes no other's zip.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "keyturn_rotators"
ENTRY = f"{PACKAGE}.lambda_handler"
ROOT = Path(__file__).parent


def own_files(module: str, *, besides: Iterable[Path] = ()) -> dict[str, Path]:
    """Path in the zip -> file, for the engine in `engines/<module>`. A package's data files come along with it.

    `besides`: files of the user's own, whose imports of ours are followed too.
    """
    engine = f"{PACKAGE}.engines.{module}"
    waiting, found = [ENTRY, engine, *(name for path in besides for name in _imported(path))], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [*_parents(name), *_imported(path)]
    files = set(found.values())
    folder = found[engine].parent
    if folder.name == module:
        files |= {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {path.relative_to(ROOT.parent).as_posix(): path for path in sorted(files)}


def added_files(added: Iterable[Path]) -> dict[str, Path]:
    """Path in the zip -> file, for files and folders of the user's own: each is at the top, where it can be imported."""
    found = dict[str, Path]()
    for one in added:
        inside = [one] if one.is_file() else [path for path in one.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        found |= {path.relative_to(one.parent).as_posix(): path for path in inside}
    return found


def _file_of(name: str) -> Path | None:
    base = ROOT.parent.joinpath(*name.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports anywhere in it; `from package import name` may mean a module too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module), level=0):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case _:
                continue
        yield from (name for name in names if name.partition(".")[0] == PACKAGE)
