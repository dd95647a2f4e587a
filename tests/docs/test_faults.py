"""The tables of faults in the docs are whole, and `make faults` runs every test that they name."""

import re

from tests.docs.marks import ROOT, carrying, marked

FAULTS, _, SEEN = (ROOT / "docs" / "faults.md").read_text().partition("## Seen in real bots")
ROWS = re.findall(r"^\| (F\d+) \| .+ \| ([^|]+) \|$", FAULTS, re.MULTILINE)
MISTAKES = re.findall(r"^\| (.+) \| .+ \| (`\w+`) \|$", SEEN, re.MULTILINE)


def named(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(test_\w+)`", cell)}


def test_every_fault_has_its_row_in_order() -> None:
    numbers = [int(number.removeprefix("F")) for number, _ in ROWS]

    assert numbers == sorted(set(numbers))
    assert numbers[:38] == list(range(1, 39))
    assert all(named([cell]) for _, cell in ROWS)


def test_every_mistake_seen_in_real_bots_has_its_row() -> None:
    assert len({mistake for mistake, _ in MISTAKES}) == 10
    assert len(named([cell for _, cell in MISTAKES])) == 10


def test_every_test_named_is_run_by_make_faults() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r'^faults:.*\n\t.+ -m pytest (\S+) -m "(\w+) or (\w+)" \$\(ARGS\)$', makefile, re.MULTILINE)

    assert recipe is not None
    run = carrying(recipe[2], recipe[1]) | carrying(recipe[3], recipe[1])
    assert named([cell for _, cell in ROWS + MISTAKES]) - run == set()


def test_the_tests_of_a_fault_carry_its_number() -> None:
    carry = marked("fault")

    assert {number: named([cell]) - carry[number] for number, cell in ROWS} == {number: set() for number, _ in ROWS}
    assert set(carry) == {number for number, _ in ROWS}
