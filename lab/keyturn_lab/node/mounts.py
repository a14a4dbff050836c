"""How a process that is not in a container finds its volumes at their mount paths.

Three modes, tried in this order: as root a mount namespace; as an ordinary user a mount namespace in a user namespace; and where the
machine allows neither, the mount paths are replaced by the real ones in the command line and the environment. In a mount namespace, a mount
path that does not exist on this machine is made in an overlay over its nearest ancestor, or, directly below `/`, in a new root; the machine
itself is never written to.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote

from keyturn_lab.processes import dying_with_parent


class Mode(StrEnum):
    """See the module."""

    ROOT = "root"
    USER_NAMESPACE = "user-namespace"
    REWRITE = "rewrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or directory of the node that is to be seen at another path."""

    target: str
    source: Path
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to execute, with what."""

    argv: list[str]
    environment: dict[str, str]
    cwd: Path
    entered: Path | None = None
    """Exists once all mounts are done and the program is about to run; None where there is nothing to mount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounter:
    """Wraps command lines; `keep` are directories that stay visible whatever is mounted over their parents."""

    mode: Mode
    directory: Path
    keep: tuple[str, ...]

    def wrap(self, command: Command, mounts: Sequence[Mount], *, scratch: Path, workdir: str | None = None) -> Command:
        """The same program with the mounts in place; `scratch` is a directory of this container's own below `directory`."""
        argv, environment = command.argv, command.environment
        cwd = Path(workdir) if workdir and Path(workdir).is_dir() else command.cwd
        if not mounts or self.mode is Mode.REWRITE:
            argv = [rewrite(word, mounts) for word in argv]
            environment = {name: rewrite(value, mounts) for name, value in environment.items()}
            return Command(argv=[*dying_with_parent(), *argv], environment=environment, cwd=cwd)
        entered = scratch / "entered"
        entered.unlink(missing_ok=True)
        plan = Plan(mounts=mounts, directory=self.directory, scratch=scratch, keep=self.keep, mode=self.mode)
        plan.prepare()
        end = f": > {quote(str(entered.relative_to(self.directory)))}; cd {quote(workdir or str(cwd))} 2>/dev/null || cd {quote(str(cwd))}"
        script = "\n".join(["set -e", f"cd {quote(str(self.directory))}", *plan.lines(), end, 'exec "$@"'])
        if plan.new_root:
            script = "\n".join(["set -e", f"cd {quote(str(self.directory))}", *plan.root_lines(script)])
        user = self.mode is Mode.USER_NAMESPACE
        unshare = ["unshare", "--mount", "--propagation", "private", *(["--map-current-user", "--keep-caps"] if user else [])]
        # Gaining capabilities in the user namespace clears the death signal, so it is set again after they are dropped.
        drop = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--pdeathsig", "KILL", "--"] if user else []
        argv = [*dying_with_parent(), *unshare, "sh", "-c", script, "sh", *drop, *argv]
        return Command(argv=argv, environment=environment, cwd=self.directory, entered=entered)

    def enter(self, pid: int) -> list[str]:
        """The words before a command line that is to run where that container's process runs."""
        if self.mode is Mode.REWRITE:
            return []
        user = ["--user", "--preserve-credentials"] if self.mode is Mode.USER_NAMESPACE else []
        return ["nsenter", "--target", str(pid), *user, "--mount", "--root", "--wd", "--"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The shell commands that make one container's mounts. Sources are relative to `directory`: a mount may hide their absolute paths."""

    mounts: Sequence[Mount]
    directory: Path
    scratch: Path
    keep: tuple[str, ...]
    mode: Mode

    @property
    def new_root(self) -> bool:
        """A mount path begins with a directory that `/` does not have."""
        return any(not os.path.exists(mount.target) and _nearest_directory(mount.target) == "/" for mount in self._sorted())

    def prepare(self) -> None:
        """Make the directories that the commands use."""
        for name in ("layers", "root", *(f"keep{index}" for index in range(len(self.keep)))):
            (self.scratch / name).mkdir(parents=True, exist_ok=True)

    def lines(self) -> Iterator[str]:
        """Stash what has to stay visible, then mount in order of depth, and make read-only what should be, last."""
        yield from (f"mount -c --rbind {quote(path)} {self._relative(f'keep{index}')}" for index, path in self._kept())
        overlays = self._overlays()
        if overlays:
            yield f"mount -c -t tmpfs tmpfs {self._relative('layers')}"
        for index, base in enumerate(overlays):
            yield from self._overlay(index, base)
        for mount in self._sorted():
            yield from self._bind(mount)
        # In a user namespace, the kernel may refuse to change the flags of a mount that it locked: then the volume stays writable.
        yield from (f"mount -o remount,bind,ro {quote(mount.target)} || :" for mount in self._sorted() if mount.read_only)

    def root_lines(self, script: str) -> Iterator[str]:
        """Everything that is in `/`, bound into a new root in which further directories can be made; then the script in there."""
        root = self._relative("root")
        yield f"mount -c -t tmpfs tmpfs {root}"
        yield "for entry in /* /.[!.]*; do"
        yield f'  if [ -L "$entry" ]; then cp -P "$entry" {root}/'
        yield f'  elif [ -d "$entry" ]; then mkdir "{root}$entry"; mount -c --rbind "$entry" "{root}$entry"'
        yield f'  elif [ -e "$entry" ]; then : > "{root}$entry"; mount -c --bind "$entry" "{root}$entry"; fi'
        yield "done"
        yield f'exec chroot {root} sh -c {quote(script)} sh "$@"'

    def _sorted(self) -> list[Mount]:
        resolved = [Mount(target=os.path.realpath(m.target), source=m.source, read_only=m.read_only) for m in self.mounts]
        return sorted(resolved, key=lambda mount: mount.target.count("/"))

    def _overlays(self) -> list[str]:
        """The existing directories in which mount points have to be made, outermost first, none inside another mount or overlay."""
        covered: list[str] = []
        bases: list[str] = []
        for mount in self._sorted():
            base = _nearest_directory(mount.target)
            if not os.path.exists(mount.target) and base != "/" and not any(_inside(mount.target, path) for path in covered):
                bases.append(base)
                covered.append(base)
            covered.append(mount.target)
        return sorted(set(bases), key=lambda path: path.count("/"))

    def _overlay(self, index: int, base: str) -> Iterator[str]:
        upper, work = self._relative(f"layers/{index}u"), self._relative(f"layers/{index}w")
        extra = ",userxattr" if self.mode is Mode.USER_NAMESPACE else ""
        yield f"mkdir {upper} {work}"
        yield f"mount -c -t overlay overlay -o lowerdir={quote(base)},upperdir={upper},workdir={work}{extra} {quote(base)}"
        yield from self._show_kept(base)

    def _bind(self, mount: Mount) -> Iterator[str]:
        source, target = os.path.relpath(mount.source, self.directory), quote(mount.target)
        if mount.source.is_dir():
            yield f"mkdir -p {target}"
        else:
            yield f"[ -e {target} ] || {{ mkdir -p {quote(os.path.dirname(mount.target))}; : > {target}; }}"
        inside = not source.startswith("..")
        yield f"mount -c --rbind {quote(source if inside else str(mount.source))} {target}"
        yield from self._show_kept(mount.target)

    def _kept(self) -> list[tuple[int, str]]:
        hiding = [*self._overlays(), *(mount.target for mount in self._sorted())]
        return [(index, path) for index, path in enumerate(self.keep) if any(_inside(path, other) for other in hiding)]

    def _show_kept(self, hidden: str) -> Iterator[str]:
        for index, path in self._kept():
            if _inside(path, hidden):
                yield f"mkdir -p {quote(path)}; mount -c --rbind {self._relative(f'keep{index}')} {quote(path)}"

    def _relative(self, name: str) -> str:
        return quote(str((self.scratch / name).relative_to(self.directory)))


def rewrite(text: str, mounts: Sequence[Mount]) -> str:
    """The mount paths in a text replaced by where the volumes really are."""
    if not mounts:
        return text
    sources: Mapping[str, str] = {mount.target.rstrip("/"): str(mount.source) for mount in mounts}
    paths = "|".join(re.escape(path) for path in sorted(sources, reverse=True))
    return re.sub(rf"(?<![\w/.-])({paths})(?=[/:,;\s'\"&?#)]|$)", lambda found: sources[found[1]], text)


def choose(directory: Path, keep: tuple[str, ...]) -> Mode:
    """The best mode that works on this machine, found by trying: one mount path missing in /etc, one missing in /."""
    source = directory / "trial" / "volume"
    source.mkdir(parents=True, exist_ok=True)
    mounts = [Mount(target=path, source=source, read_only=True) for path in ("/etc/keyturn-lab/trial", "/keyturn-lab-trial")]
    command = Command(argv=["true"], environment=dict(os.environ), cwd=directory)
    for mode in (Mode.ROOT, Mode.USER_NAMESPACE) if os.geteuid() == 0 else (Mode.USER_NAMESPACE,):
        wrapped = Mounter(mode=mode, directory=directory, keep=keep).wrap(command, mounts, scratch=directory / "trial" / mode)
        try:
            done = subprocess.run(wrapped.argv, env=wrapped.environment, cwd=wrapped.cwd, capture_output=True, timeout=20, check=False)
        except OSError:  # no unshare on this machine
            continue
        if done.returncode == 0:
            return mode
    return Mode.REWRITE


def outermost(directories: Sequence[str]) -> tuple[str, ...]:
    """Those that exist and are in none of the others."""
    found = sorted({os.path.realpath(path) for path in directories if os.path.isdir(path)})
    return tuple(
        path for path in found if path != "/" and not any(path != other and _inside(path, other) for other in found if other != "/")
    )


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _nearest_directory(path: str) -> str:
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    return parent
