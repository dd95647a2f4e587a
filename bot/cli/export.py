"""`audit export`: any period of the trail, to be kept elsewhere and verified without a database."""

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

from bot.cli.choices import PeriodOption, Since, Until, between
from bot.cli.database import configured
from bot.cli.output import progress
from bot.domain.errors import BotError
from bot.store.trail_reader import TrailSnapshot, open_trail
from bot.trail.chain import Row
from bot.trail.export import Form, write
from bot.trail.verify import STEP

As = Annotated[Form, typer.Option("--format", help="JSON lines, or CSV for a spreadsheet.")]
Output = Annotated[Path | None, typer.Option(dir_okay=False, help="Write this file; it appears when it is complete.")]

_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def export(
    *,
    form: As = Form.JSONL,
    period: PeriodOption = None,
    since: Since = None,
    until: Until = None,
    output: Output = None,
) -> None:
    """Write the events of a period, oldest first, without a gap from the first of them to the last.

    `audit verify --file` checks what was written.
    """
    first, after = between(period, since, until)
    with open_trail(configured().database_url) as reading:
        total, rows = _chosen(reading, first, after)
        with _written_to(output) as out, progress(total) as tell:
            counted = _Counted(rows, tell)
            _write(counted, form, out)
    typer.echo(counted.summary, err=True)


def _chosen(reading: TrailSnapshot, since: datetime | None, until: datetime | None) -> tuple[int | None, Iterator[Row]]:
    """Read the whole trail, whatever is in it, or one period's part; with the number of rows, if it is known."""
    if since is None and until is None:
        return reading.last(), reading.rows()
    span = reading.span(since, until)
    return (0, iter(())) if span is None else (span[1] - span[0] + 1, reading.rows(*span))


class _Counted:
    """Rows on their way, counted."""

    def __init__(self, rows: Iterable[Row], tell: Callable[[int], None]) -> None:
        self._rows = rows
        self._tell = tell
        self._count = 0
        self._last: Row | None = None

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._last = row
            self._count += 1
            if self._count % STEP == 0:
                self._tell(self._count)
            yield row

    @property
    def summary(self) -> str:
        """Say how many, and which."""
        if self._last is None:
            return "No event matches."
        rows = "1 row" if self._count == 1 else f"{self._count:,} rows"
        return f"{rows}, {self._last.seq - self._count + 1} to {self._last.seq}."


def _write(rows: Iterable[Row], form: Form, out: TextIO) -> None:
    try:
        out.writelines(write(rows, form))
    except (TypeError, ValueError) as error:
        words = "A row holds what the bot never writes: `turso-rotate audit verify` says which."
        raise BotError(words) from error


@contextmanager
def _written_to(path: Path | None) -> Iterator[TextIO]:
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
        # Nobody reads any more, or the disk is full: what is held back must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    finally:
        out.detach()


@contextmanager
def _file(path: Path) -> Iterator[TextIO]:
    """Write beside the file and put it in place when all is there; a device or a pipe is written as it is."""
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
