"""The table of faults in the docs is whole, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py")))
ROWS = re.findall(r"^\| F(\d+) \| .+ \| `(\w+)` \|$", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)


def test_every_fault_has_its_row_in_order() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 39))


def test_every_test_named_is_there_and_carries_the_fault() -> None:
    missing = [name for _, name in ROWS if f"def {name}(" not in TESTS]
    carried = {
        int(number) for name in re.findall(r"def (test_\w*)\(", TESTS) for number in re.findall(r"f(\d+)_", name)
    }
    carried |= {int(number) for number in re.findall(r'"f(\d+)-', TESTS)}

    assert missing == []
    assert carried >= set(range(1, 39))
