"""The Dockerfile as data, and its builder stage run in a directory, where no base image can be had."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
RUN_SECONDS = 300
OF_THE_CALLER = re.compile(r"VIRTUAL_ENV|PYTHON.*|UV_(PROJECT|PYTHON|LOCKED|NO).*")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line of the Dockerfile, continuation lines joined."""

    keyword: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Stage:
    """What is between one FROM and the next."""

    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """The arguments of every such instruction."""
        return [entry.arguments for entry in self.instructions if entry.keyword == keyword]

    @property
    def env(self) -> dict[str, str]:
        """What its ENV instructions set."""
        return dict(_pairs(" ".join(self.all("ENV"))))

    def command(self) -> list[str]:
        """ENTRYPOINT, in its exec form."""
        [entrypoint] = self.all("ENTRYPOINT")
        return [str(part) for part in json.loads(entrypoint)]


def stages() -> dict[str, Stage]:
    """By name."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for line in filter(None, text.splitlines()):
        keyword, _, arguments = line.partition(" ")
        if keyword == "FROM":
            base, _, name = arguments.partition(" AS ")
            found[name] = stage = Stage(base)
        elif found:
            stage.instructions.append(Instruction(keyword, arguments.strip()))
    return found


def context() -> list[str]:
    """The files of the repository that .dockerignore lets into the build."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    wanted = tuple(line.removeprefix("!") for line in lines if line.startswith("!"))
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in files if path.split("/")[0] in wanted and (ROOT / path).is_file()]


def build(stage: Stage, directory: Path) -> Path:
    """Run the stage's own instructions with `directory` as its root and this Python as its base image; returns its working directory."""
    standin = directory / "python"
    subprocess.run([sys.executable, "-m", "venv", str(standin)], check=True, timeout=RUN_SECONDS)
    env = {key: value for key, value in os.environ.items() if not OF_THE_CALLER.fullmatch(key)} | stage.env
    env["PATH"] = f"{standin / 'bin'}:/usr/bin:/bin"
    workdir = directory
    for instruction in stage.instructions:
        match instruction.keyword:
            case "WORKDIR":
                workdir = directory / instruction.arguments.lstrip("/")
                workdir.mkdir(parents=True)
            case "COPY":
                _copy(shlex.split(instruction.arguments), workdir)
            case "RUN":
                _run(instruction.arguments, workdir, env)
            case "ENV":
                continue
            case other:
                raise NotImplementedError(f"the Dockerfile's builder stage has an instruction that this cannot run: {other}")
    return workdir


def _copy(arguments: list[str], workdir: Path) -> None:
    *sources, target = arguments
    for path in context():
        if any(source == "." or path == source for source in sources):
            destination = workdir / target / path
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, destination)


def _run(command: str, workdir: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-ec", command], cwd=workdir, env=env, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if done.returncode:
        raise AssertionError(f"RUN {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (word.partition("=") for word in shlex.split(text))]
