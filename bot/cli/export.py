"""`audit export`: write a period of the trail, to keep elsewhere and verify without a database."""

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from bot.cli.database import load_settings
from bot.cli.options import PeriodOption, SinceOption, UntilOption, parse_range
from bot.cli.output import exit_if_incomplete, progress
from bot.domain.errors import BotError, UnreadableRow
from bot.store.trail_reader import TrailSnapshot, open_trail
from bot.trail.chain import Row
from bot.trail.export import ExportFormat, write_export
from bot.trail.verify import STEP

ExportFormatOption = Annotated[
    ExportFormat, typer.Option("--format", help="jsonl: JSON, one event a line. csv: for a spreadsheet.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, metavar="FILE", help="Write to this file, created once the export is complete."),
]

_WHY = "it holds what the bot never writes, and the export lacks it"
_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def export_trail(
    *,
    export_format: ExportFormatOption = ExportFormat.JSONL,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: OutputOption = None,
) -> None:
    """Export the events of a period, oldest first.

    The export has no gap between its first and its last event. Verify it with: audit verify --file FILE
    """
    first, after = parse_range(period, since, until)
    with open_trail(load_settings().database_url) as reading:
        total, rows = _select(reading, first, after)
        with _open_output(output) as out, progress(total) as report:
            counted = _CountedRows(rows, report)
            out.writelines(write_export(counted, export_format, counted.left_out.append))
    typer.echo(counted.summary, err=True)
    exit_if_incomplete([UnreadableRow("Row", row.seq, _WHY) for row in counted.left_out])


def _select(reading: TrailSnapshot, since: datetime | None, until: datetime | None) -> tuple[int | None, Iterator[Row]]:
    """Return the rows of a period, or all of them even if a time is unreadable, and their number if it is known."""
    if since is None and until is None:
        return reading.last(), reading.rows()
    span = reading.span(since, until)
    return (0, iter(())) if span is None else (span[1] - span[0] + 1, reading.rows(*span))


class _CountedRows:
    """Counts rows while they are written, and reports progress."""

    def __init__(self, rows: Iterable[Row], report: Callable[[int], None]) -> None:
        self.left_out: list[Row] = []
        """Rows that hold what the bot never writes."""
        self._rows = rows
        self._report = report
        self._count = 0
        self._last: Row | None = None

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._last = row
            self._count += 1
            if self._count % STEP == 0:
                self._report(self._count)
            yield row

    @property
    def summary(self) -> str:
        """How many rows were written, and which."""
        if self._last is None:
            return "No matching events."
        written = self._count - len(self.left_out)
        rows = "1 row" if written == 1 else f"{written:,} rows"
        return f"{rows}, {self._last.seq - self._count + 1} to {self._last.seq}."


@contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    try:
        with _standard_output() if path is None else _file(path.resolve()) as out:
            yield out
    except BrokenPipeError:
        raise typer.Exit(1) from None
    except OSError as error:
        raise BotError(f"{path or 'Standard output'} cannot be written: {error.strerror}.") from error


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    out = TextIOWrapper(sys.stdout.buffer, **_TEXT)
    try:
        yield out
        out.flush()
    except OSError:
        # The reader is gone, or the disk is full: keep Python from flushing the rest again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    finally:
        out.detach()


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    """Write a temporary file and rename it when it is complete; write a device or a pipe directly."""
    if path.exists() and not path.is_file():
        with path.open("w", **_TEXT) as out:
            yield out
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", **_TEXT) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
