"""`audit verify`: whether the trail, or an export of it, still is the chain that was written."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from bot.cli.database import configured
from bot.cli.output import progress
from bot.config import DatabaseSettings
from bot.domain.errors import UsageError
from bot.store.trail_reader import open_trail
from bot.trail.diagnose import Fault, Finding
from bot.trail.export import read
from bot.trail.verify import Report, VerifyOptions, anchor
from bot.trail.verify import verify as walk

_SHOWN = 10


class Format(StrEnum):
    """How the result is printed."""

    TABLE = "table"
    JSON = "json"


Anchors = Annotated[
    list[str] | None,
    typer.Option("--anchor", metavar="SEQ:HASH", help="A head noted earlier, which must still be there; repeatable."),
]
UnkeyedUntil = Annotated[
    int | None,
    typer.Option(min=1, metavar="SEQ", help="The last row from before there was an AUDIT_KEY; only you can know it."),
]
File = Annotated[Path | None, typer.Option(help="Verify this export, with no database; - is standard input.")]
As = Annotated[Format, typer.Option("--format", help="How to print the result.")]


def verify(
    *, anchors: Anchors = None, unkeyed_until: UnkeyedUntil = None, file: File = None, form: As = Format.TABLE
) -> None:
    """Check that no row was changed, removed, added or moved since it was written.

    Exits 1 at the first row that is not as it was written, and says what is wrong with it; also where rotations or
    grants in the database are not what the rows say.
    """
    settings = configured()
    noted = tuple(anchor(text) for text in anchors or ())
    terms = VerifyOptions(settings.seal(), noted, unkeyed_until or 0, partial=file is not None)
    if terms.unkeyed_until and not terms.seal.keyed:
        raise UsageError("--unkeyed-until is for a trail with a key: set AUDIT_KEY.")
    report, around = _of_database(settings, terms) if file is None else (_of_file(file, terms), _Around())
    if form is Format.JSON:
        typer.echo(json.dumps(_facts(report, terms, around), indent=2))
    else:
        typer.echo("\n".join(_words(report, terms, around)))
    if report.finding or around != _Around():
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Around:
    """What is wrong around the trail, in the database that holds it."""

    unguarded: Sequence[str] = ()
    mismatches: Sequence[str] = ()


def _of_database(settings: DatabaseSettings, terms: VerifyOptions) -> tuple[Report, _Around]:
    with open_trail(settings.database_url) as reading, progress(reading.last()) as tell:
        report = walk(reading.rows(), terms, tell)
        mismatches = [] if report.finding else reading.mismatches()  # a trail that was changed is no witness
        return report, _Around(tuple(sorted(reading.broken_triggers())), tuple(mismatches))


def _of_file(file: Path, terms: VerifyOptions) -> Report:
    with _opened(file) as lines, progress(None) as tell:
        return walk(read(lines), terms, tell)


def _opened(file: Path) -> TextIO:
    """Open an export so that every byte is kept, and lines end at line feeds alone. Raises `UsageError`."""
    source = sys.stdin.fileno() if str(file) == "-" else file
    try:
        return open(source, encoding="utf-8", errors="surrogateescape", newline="\n")  # noqa: PTH123 - or a descriptor
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None


def _facts(report: Report, terms: VerifyOptions, around: _Around) -> dict[str, object]:
    finding = report.finding
    return {
        "sound": finding is None,
        "finding": finding and {"row": finding.seq, "fault": str(finding.fault), "explanation": finding.words},
        "rows": report.rows,
        "first": report.start.seq + 1 if report.rows else None,
        "follows": str(report.start),
        "head": str(report.head),
        "keyed": terms.seal.keyed,
        "unkeyed_until": report.unkeyed_until,
        "anchors": [str(head) for head in terms.anchors],
        "unguarded": around.unguarded,
        "mismatches": around.mismatches,
    }


def _words(report: Report, terms: VerifyOptions, around: _Around) -> Iterator[str]:
    if report.finding is not None:
        yield from _unsound(report.finding, report)
    elif report.rows:
        yield from _sound(report, terms)
    else:
        yield "There is no row, and so nothing to verify."
    if around.unguarded:
        names = ", ".join(around.unguarded)
        yield f"The database no longer protects its history: {names} is missing, disabled or changed."
    if around.mismatches:
        yield "What the bot acts on and shows is not what the trail has:"
        yield from (f"- {each}" for each in around.mismatches[:_SHOWN])
    if len(around.mismatches) > _SHOWN:
        yield f"… and {len(around.mismatches) - _SHOWN} more: --format json lists a hundred."


def _unsound(finding: Finding, report: Report) -> Iterator[str]:
    yield f"Row {finding.seq}: {finding.fault}. {finding.words}"
    if finding.fault is Fault.UNSEALED:
        yield "If the key was introduced later, name the last row before it: --unkeyed-until SEQ."
    if report.rows and report.head.seq < finding.seq:
        yield f"Sound up to there: {_counted(report)}, the last one being {report.head}."


def _sound(report: Report, terms: VerifyOptions) -> Iterator[str]:
    yield f"Sound: {_counted(report)}, sealed {'with the key' if terms.seal.keyed else 'without a key'}."
    if report.unkeyed_until:
        yield f"Rows up to {report.unkeyed_until} are from before there was a key."
    if report.start.seq:
        yield f"What precedes row {report.start.seq + 1} is not here."
    yield f"TrailHead: {report.head}"
    yield from _unprovable(terms)


def _unprovable(terms: VerifyOptions) -> Iterator[str]:
    if terms.anchors:
        newest = max(head.seq for head in terms.anchors)
        yield f"The anchors are met. Whether rows after row {newest} were cut off at the end cannot be shown."
    else:
        yield "Whether rows were cut off at the end cannot be shown without a head noted earlier: --anchor SEQ:HASH."
        if not terms.seal.keyed:
            yield "Without a key, nor can it be shown that the whole chain was not made anew."
    yield "Keep the head where nobody who can write to the database can change it."


def _counted(report: Report) -> str:
    rows = "1 row" if report.rows == 1 else f"{report.rows:,} rows"
    return f"{rows}, {report.start.seq + 1} to {report.head.seq}"
