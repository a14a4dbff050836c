"""Where the control plane's programs come from: KUBEBUILDER_ASSETS, the user's cache, or a build from the pinned Go modules.

The cache is keyed by what is built and how, so a changed pin never meets an old program.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "1.36.3"
MODULES = Path(__file__).parent / "modules"
COMPONENT_BASE = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A pinned Go module, and which programs are built from it how."""

    directory: Path
    flags: tuple[str, ...]
    packages: Mapping[str, str]
    """Program name -> Go package."""


KUBERNETES = Module(
    directory=MODULES / "kubernetes",
    flags=(
        f"-ldflags=-s -w -X {COMPONENT_BASE}.gitVersion=v{KUBERNETES_VERSION}"
        f" -X {COMPONENT_BASE}.gitMajor={_MAJOR} -X {COMPONENT_BASE}.gitMinor={_MINOR}",
    ),
    packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")},
)
ETCD = Module(directory=MODULES / "etcd", flags=("-ldflags=-s -w",), packages={"etcd": "go.etcd.io/etcd/server/v3"})
ALL = (ETCD, KUBERNETES)
PROGRAMS = tuple(program for module in ALL for program in module.packages)

Build = Callable[[Path, Sequence[Module], Log], None]
"""Builds the programs of the modules into a directory."""


def find(*, build: Build, log: Log = print, environment: Mapping[str, str] = os.environ) -> Path:
    """The directory that holds every program; `build` is called only where neither the environment nor the cache has them."""
    assets = environment.get("KUBEBUILDER_ASSETS")
    if assets and complete(Path(assets)):
        return Path(assets)
    if assets:
        log(f"KUBEBUILDER_ASSETS={assets} is passed over: it does not hold all of {', '.join(PROGRAMS)}")
    directory = cache_directory(environment)
    if not complete(directory):
        build(directory, ALL, log)
    return directory


def complete(directory: Path, modules: Sequence[Module] = ALL) -> bool:
    """Does it hold all programs? (The assets of setup-envtest lack the controller manager and the scheduler.)"""
    return all(os.access(directory / program, os.X_OK) for module in modules for program in module.packages)


def cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """`keyturn/controlplane` in the user's cache directory."""
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "keyturn" / "controlplane"


def cache_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the programs of these very pins and flags are, or will be."""
    return cache_root(environment) / digest(ALL)


def digest(modules: Sequence[Module]) -> str:
    """Of everything that decides what is built."""
    seen = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
    for module in modules:
        for file in (module.directory / "go.mod", module.directory / "go.sum", *sorted(module.directory.glob("*.go"))):
            seen.update(file.read_bytes())
        seen.update(repr((module.flags, sorted(module.packages.items()))).encode())
    return seen.hexdigest()[:16]
