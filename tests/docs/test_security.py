"""The ten laws in the docs: all there, and every test that holds one exists."""

import re

from tests.docs.marks import FILES, ROOT, definitions, marked

PAGE = (ROOT / "docs" / "security.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
ROWS = re.findall(r"^\| (\d+) [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)


def holds(name: str) -> bool:
    """Tell whether a test, file of tests, fault or target of make with this name or path exists."""
    if name.startswith("make "):
        return f"\n{name.removeprefix('make ')}:" in MAKEFILE
    if name.endswith(".py"):
        return any(path.as_posix().endswith(f"/{name}") for path in FILES)
    return name in {test.name for test in definitions()} | set(marked("fault"))


def test_every_law_has_its_row_in_order() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 11))
    assert set(marked("law")) <= set(range(1, 11))


def test_every_test_named_is_there() -> None:
    named = [re.findall(r"`([^`]+)`", cell) for _, cell in ROWS]
    elsewhere = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)

    assert all(named)
    assert [name for names in (*named, elsewhere) for name in names if not holds(name)] == []
