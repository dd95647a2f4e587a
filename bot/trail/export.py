"""The two formats of an export, JSON lines and CSV, written and read back byte for byte."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import chain

from bot.trail.chain import Row, line

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets treat as the start of a formula; the last four are the first four in full width."""
_QUOTE = "'"
_HEADER = ",".join(Row._fields)
_UNREADABLE = Row._make([None] * len(Row._fields))
"""Stands for a line that the bot would not write: it fits nowhere in a chain."""
_TEXT = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
# The detail is matched greedily: no string after it can contain the text that ends it.
_LINE = re.compile(
    rf'\{{"seq":([0-9]{{1,19}}),"at":{_TEXT},"action":{_TEXT},"actor":\{{"team_id":{_TEXT},"user_id":{_TEXT}\}},'
    rf'"organization":{_TEXT},"group":(?:null|{_TEXT}),"rotation_id":(?:null|{_TEXT}),"detail":(.*),'
    rf'"delivery":(?:null|{_TEXT}),"prev_hash":{_TEXT},"hash":{_TEXT}\}}'
)


class ExportFormat(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"


def write_export(
    rows: Iterable[Row], export_format: ExportFormat, left_out: Callable[[Row], None] | None = None
) -> Iterator[str]:
    """Yield the lines of an export, with line breaks; CSV starts with the column names.

    A row that holds what the bot never writes is handed to `left_out`, and verification will miss it; without that,
    raises `TypeError` or `ValueError`.
    """
    write: Callable[[Row], str] = _line
    if export_format is ExportFormat.CSV:
        writer = csv.writer(_Echo)
        yield str(writer.writerow(Row._fields))
        write = lambda row: str(writer.writerow(_cells(row)))  # noqa: E731 - one of two
    for row in rows:
        try:
            yield write(row)
        except (TypeError, ValueError):
            if left_out is None:
                raise
            left_out(row)


def read_export(lines: Iterable[str]) -> Iterator[Row]:
    """Parse an export, split at line feeds alone; a line that the bot would not write becomes a row that never fits."""
    lines = iter(lines)
    first = next(lines, "")
    if first.rstrip("\r\n") == _HEADER:
        return _read_csv(lines)
    return map(_read_line, chain([first] if first else [], lines))


def escape_formula(text: str) -> str:
    """Return a cell that no spreadsheet executes; the mark in front can be told from the text, so it can be undone."""
    return f"{_QUOTE}{text}" if text.startswith((*_FORMULA, _QUOTE)) else text


def _line(row: Row) -> str:
    text = line(row)
    if "\n" in text:
        raise ValueError("a detail breaks the line")
    return f"{text}\n"


def _read_line(text: str) -> Row:
    text = text.removesuffix("\n").removesuffix("\r")
    found = _LINE.fullmatch(text)
    if found is None:
        return _UNREADABLE
    try:
        row = Row._make(_members(found.groups()) if "\\" in text else (int(found[1]), *found.groups()[1:]))
    except ValueError:
        return _UNREADABLE
    return row if line(row) == text else _UNREADABLE


def _members(texts: Iterable[str | None]) -> Iterator[object]:
    for name, text in zip(Row._fields, texts, strict=True):
        if name == "seq":
            yield int(text or "")
        elif text is None or name == "detail":
            yield text
        else:
            yield json.loads(f'"{text}"')


class _Echo:
    """Returns what a CSV writer writes."""

    @staticmethod
    def write(text: str) -> str:
        return text


def _read_csv(lines: Iterable[str]) -> Iterator[Row]:
    reader = csv.reader(lines)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield _UNREADABLE
        else:
            yield _read_cells(cells)


def _cells(row: Row) -> list[str]:
    """Return the cells: empty for NULL, and the mark alone for an empty text."""
    line(row)  # raises if a column holds what the bot never writes
    seq, *texts = row
    return [str(seq), *("" if text is None else escape_formula(text) or _QUOTE for text in texts)]


def _read_cells(cells: list[str]) -> Row:
    try:
        seq, *texts = cells
        row = Row._make([int(seq), *(text.removeprefix(_QUOTE) if text else None for text in texts)])
        return row if _cells(row) == cells else _UNREADABLE
    except (TypeError, ValueError):
        return _UNREADABLE
