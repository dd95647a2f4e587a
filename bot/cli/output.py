"""Tables and progress for people, JSON and CSV for scripts."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.domain.errors import UnreadableRow
from bot.domain.text import escaped
from bot.trail.export import escape_formula

_NAMED = 20


class OutputFormat(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class ReportFormat(StrEnum):
    """How a report is printed, which is no list that CSV could hold."""

    TABLE = "table"
    JSON = "json"


def print_rows(rows: Sequence[Mapping[str, object]], output_format: OutputFormat, *, empty: str) -> None:
    """Print rows that all have the same fields; if there are none, print `empty` on standard error."""
    if not rows:
        typer.echo(empty, err=True)
    match output_format:
        case OutputFormat.JSON:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        case OutputFormat.CSV:
            typer.echo(_csv(rows), nl=False)
        case OutputFormat.TABLE:
            _table(rows)


def exit_if_incomplete(unreadable: Sequence[UnreadableRow]) -> None:
    """Name on standard error what could not be read, and then exit with 1: what was printed is not everything."""
    for row in unreadable[:_NAMED]:
        typer.echo(f"turso-rotate: {escaped(str(row))}", err=True)
    if len(unreadable) > _NAMED:
        typer.echo(f"turso-rotate: {len(unreadable) - _NAMED:,} more rows cannot be read.", err=True)
    if unreadable:
        raise typer.Exit(1)


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal; call what it yields with the number of rows done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - seldom needed

    columns = (BarColumn(), TextColumn("{task.completed:,.0f} rows"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
    writer.writerows([escape_formula(_flat(value)) for value in row.values()] for row in rows)
    return out.getvalue()


def _table(rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.upper(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(escaped(_flat(value))) for value in row.values()))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=240)
    console.print(table)


def _flat(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
