"""A mount namespace in which a server may change /etc and other places, and the machine's stay as they are. It needs root.

Enter it with `unshare --mount --propagation private`, and run these lines first.
"""

from collections.abc import Iterable
from pathlib import Path


def lines(scratch: Path, *, empty: Iterable[str]) -> list[str]:
    """Lines of a shell script. `scratch`: an empty folder. `empty`: places that are to have nothing of the machine's."""
    layers = scratch / "etc"
    return [
        "set -eu",
        f"mkdir -p {layers}",
        f"mount -t tmpfs tmpfs {layers}",
        f"mkdir {layers}/upper {layers}/work",
        f"mount -t overlay overlay -o lowerdir=/etc,upperdir={layers}/upper,workdir={layers}/work /etc",
        *(f"mount -t tmpfs -o mode=755 tmpfs {place}" for place in empty),
    ]
