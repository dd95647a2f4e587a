"""Exports read back to the byte, break no line, and start no formula."""

import csv
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.trail.chain import GENESIS, Row, line
from bot.trail.export import ExportFormat, escape_formula, read_export, write_export
from tests.synthetic.events import events, sealed
from tests.trail.test_chain import TEXT

BYTES = st.binary(max_size=8).map(lambda data: data.decode("utf-8", "surrogateescape"))
CELL = st.one_of(
    TEXT, BYTES, st.sampled_from(["=1+1", "'=1", "'", "''", "+", "-1", "@x", "\t", "\r", "\uff1d1", "a\rb", '"'])
)
HASH = st.text("0123456789abcdef", min_size=64, max_size=64)
ROWS = st.lists(
    st.builds(
        Row,
        seq=st.integers(1, 10**18),
        at=CELL,
        action=CELL,
        team_id=CELL,
        user_id=CELL,
        organization=CELL,
        group=st.none() | CELL,
        rotation_id=st.none() | CELL,
        detail=CELL.map(lambda text: text.replace("\n", " ")),
        delivery=st.none() | CELL,
        prev_hash=HASH,
        hash=HASH,
    ),
    max_size=4,
)
SEALED = list(sealed(events(1, 3)))


def lines_of(text: str) -> list[str]:
    """Cut a file as it is cut when it is opened to be read."""
    return [f"{each}\n" for each in text.split("\n")[:-1]]


@pytest.mark.parametrize("form", ExportFormat)
@given(rows=ROWS)
def test_what_is_written_reads_back(form: ExportFormat, rows: list[Row]) -> None:
    text = "".join(write_export(rows, form))

    assert list(read_export(lines_of(text))) == rows


@given(ROWS)
def test_no_cell_starts_a_formula(rows: list[Row]) -> None:
    _, *records = csv.reader(lines_of("".join(write_export(rows, ExportFormat.CSV))))

    assert len(records) == len(rows)
    assert not [
        cell for record in records for cell in record if cell.startswith(tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"))
    ]


@given(TEXT, TEXT)
def test_a_guard_can_be_told_from_the_text(one: str, other: str) -> None:
    assert (escape_formula(one) == escape_formula(other)) == (one == other)


def test_json_lines_are_the_canonical_form_with_the_hash() -> None:
    assert list(write_export(SEALED, ExportFormat.JSONL)) == [f"{line(row)}\n" for row in SEALED]


@given(st.data())
def test_no_letter_of_json_lines_can_be_changed(data: st.DataObject) -> None:
    text = "".join(write_export(SEALED, ExportFormat.JSONL)).rstrip("\n")
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda drawn: drawn != text[place]))

    assert list(read_export(lines_of(f"{text[:place]}{letter}{text[place + 1 :]}\n"))) != SEALED


@pytest.mark.parametrize(
    "text",
    [
        line(SEALED[0]).replace('"U1"', '"\\u0055\\u0031"'),
        line(SEALED[0]).replace('"detail":', '"detail": '),
        line(SEALED[0]).replace('"seq":1', '"seq":01'),
        line(SEALED[0]).replace('"group":', '"group":"first","group":'),
        line(SEALED[0])[:-20],
        f" {line(SEALED[0])}",
        "[]",
        "",
    ],
)
def test_json_lines_of_another_hand_are_not_taken(text: str) -> None:
    assert list(read_export([f"{text}\n"])) != SEALED[:1]


@pytest.mark.parametrize(
    "record",
    [
        "1,2,3",
        ",".join(["1", *SEALED[0][1:6], "", "'r0", "{}", "", GENESIS, SEALED[0].hash]),
        ",".join(["+1", *(text or "" for text in SEALED[0][1:])]),
        ",".join(["x", *(text or "" for text in SEALED[0][1:])]),
        f'"{"x" * 200_000}"',
    ],
)
def test_cells_of_another_hand_are_not_taken(record: str) -> None:
    header = f"{','.join(Row._fields)}\r\n"

    assert list(read_export([header, f"{record}\r\n"])) == [Row._make([None] * 12)]


@pytest.mark.parametrize("form", ExportFormat)
def test_lines_may_end_as_on_windows_and_the_last_not_at_all(form: ExportFormat) -> None:
    text = "".join(write_export(SEALED, form)).replace("\r\n", "\n")

    assert list(read_export(lines_of(text.replace("\n", "\r\n")))) == SEALED
    assert list(read_export([*lines_of(text)[:-1], lines_of(text)[-1].rstrip("\n")])) == SEALED


@pytest.mark.parametrize("form", ExportFormat)
@pytest.mark.parametrize("strange", [{"user_id": b"U1"}, {"at": None}, {"seq": "1"}], ids=str)
def test_what_the_bot_never_writes_is_not_written(form: ExportFormat, strange: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        list(write_export([SEALED[0]._replace(**strange)], form))


def test_a_detail_that_breaks_the_line_is_not_written() -> None:
    with pytest.raises(ValueError, match="breaks the line"):
        list(write_export([SEALED[0]._replace(detail="{}\n")], ExportFormat.JSONL))
