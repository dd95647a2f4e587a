"""What the Dockerfile says and what .dockerignore lets into a build, read as a builder reads them."""

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Step(NamedTuple):
    """One instruction: its word, and the rest of its line."""

    word: str
    rest: str


def stages() -> list[list[Step]]:
    """Read the Dockerfile's stages, each beginning with its FROM; what stands before the first is left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    read: list[list[Step]] = []
    for line in joined.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            read.append([])
        if read:
            read[-1].append(Step(word, rest))
    return read


def sources(step: Step) -> list[str]:
    """List what a COPY takes."""
    return step.rest.split()[:-1]


def is_in_context(path: str) -> bool:
    """Say whether a file of the checkout is sent to the builder: the last line of .dockerignore that fits decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and _fits(path, line.removeprefix("!")):
            kept = line.startswith("!")
    return kept


def copy_context(source: str, target: Path) -> None:
    """Copy a file or a folder of the checkout as COPY does."""
    found = ROOT / source
    for file in [found] if found.is_file() else sorted(found.rglob("*")):
        name = file.relative_to(ROOT).as_posix()
        if file.is_file() and is_in_context(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / name)


def _fits(path: str, pattern: str) -> bool:
    """Say whether a pattern fits the path or a folder above it."""
    names = [path, *map(str, PurePosixPath(path).parents)][:-1]
    if pattern.startswith("**/"):
        return any(fnmatch(name.rpartition("/")[2], pattern.removeprefix("**/")) for name in names)
    return any(name.count("/") == pattern.count("/") and fnmatch(name, pattern) for name in names)
