"""The ten laws in the docs: all there, and every test that holds one exists."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
FILES = sorted((ROOT / "tests").rglob("test_*.py"))
STORIES = [name for path in FILES for name in re.findall(r"def (test_\w+)\(", path.read_text())]
ROWS = re.findall(r"^\| (\d+) [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)


def holds(name: str) -> bool:
    """Say whether a test, file of tests or target of make with this name, path or pattern exists."""
    if name.startswith("make "):
        return f"\n{name.removeprefix('make ')}:" in MAKEFILE
    if name.endswith(".py"):
        return any(path.as_posix().endswith(f"/{name}") for path in FILES)
    return any(fnmatchcase(story, name) for story in STORIES)


def test_every_law_has_its_row_in_order() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 11))


def test_every_test_named_is_there() -> None:
    named = [re.findall(r"`([^`]+)`", tests) for _, tests in ROWS]
    elsewhere = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)

    assert all(named)
    assert [name for names in (*named, elsewhere) for name in names if not holds(name)] == []
