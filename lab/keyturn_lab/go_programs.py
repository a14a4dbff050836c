"""Programs that are built from pinned Go modules, once per user, because no package registry has them ready.

`python -m keyturn_lab.go_programs MODULE ...` builds those of the Python modules that it names, so that no test has to wait for a compiler.
"""

import sys
from importlib import import_module
from pathlib import Path

from keyturn_lab.controlplane.binaries import Log, Module, cache_root, complete, digest
from keyturn_lab.controlplane.build import build


def program(module: Module, *, log: Log = print) -> Path:
    """The module's one program. Where the user's cache does not have it, it is built, which takes minutes and is waited for by others."""
    [name] = module.packages
    directory = cache_root() / digest([module])
    if not complete(directory, [module]):
        build(directory, [module], log)
    return directory / name


def main() -> None:
    """The command line."""
    for name in sys.argv[1:]:
        print(program(import_module(name).MODULE))


if __name__ == "__main__":
    main()
