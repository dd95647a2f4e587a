"""`audit verify`: check that the trail, or an export of it, is still the chain that was written."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from bot.cli.database import load_settings
from bot.cli.options import ReportFormatOption
from bot.cli.output import ReportFormat, progress
from bot.config import DatabaseSettings
from bot.domain.errors import Unguarded, UsageError
from bot.store.trail_reader import open_trail
from bot.trail.diagnose import ChainFault, Diagnosis
from bot.trail.export import read_export
from bot.trail.verify import VerifyOptions, VerifyReport, parse_anchor, verify

_SHOWN = 10

AnchorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor", metavar="SEQ:HASH", help="A head noted earlier, which must be in the chain; can be repeated."
    ),
]
UnkeyedUntilOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="SEQ", help="The last row written before AUDIT_KEY was set; only you can know it."),
]
FileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Verify this export instead of the database; - for standard input.")
]


def verify_trail(
    *,
    anchors: AnchorOption = None,
    unkeyed_until: UnkeyedUntilOption = None,
    file: FileOption = None,
    output_format: ReportFormatOption = ReportFormat.TABLE,
) -> None:
    """Verify that no row was changed, removed, added or moved.

    Exits with 1 if a row is not as it was written, and explains the first such row; also if rotations or grants in the
    database do not match the rows, or if triggers that protect history are missing.
    """
    settings = load_settings()
    heads = tuple(parse_anchor(text) for text in anchors or ())
    options = VerifyOptions(settings.seal(), heads, unkeyed_until or 0, partial=file is not None)
    if options.unkeyed_until and not options.seal.keyed:
        raise UsageError("--unkeyed-until is for a trail with a key: set AUDIT_KEY.")
    report, problems = _verify_database(settings, options) if file is None else _verify_file(file, options)
    if output_format is ReportFormat.JSON:
        typer.echo(json.dumps(_json_report(report, options, problems), indent=2))
    else:
        typer.echo("\n".join(_text_report(report, options, problems)))
    if report.diagnosis or problems != _Problems():
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Problems:
    """What is wrong in the database around the trail."""

    broken_guards: Sequence[str] = ()
    mismatches: Sequence[str] = ()


def _verify_database(settings: DatabaseSettings, options: VerifyOptions) -> tuple[VerifyReport, _Problems]:
    with open_trail(settings.database_url) as reading, progress(reading.last()) as show_progress:
        report = verify(reading.rows(), options, show_progress)
        mismatches = [] if report.diagnosis else reading.mismatches()  # a changed trail proves nothing
        return report, _Problems(tuple(sorted(reading.broken_guards())), tuple(mismatches))


def _verify_file(file: Path, options: VerifyOptions) -> tuple[VerifyReport, _Problems]:
    with _open_export(file) as lines, progress(None) as show_progress:
        return verify(read_export(lines), options, show_progress), _Problems()


def _open_export(file: Path) -> TextIO:
    """Open an export so that every byte is kept and only line feeds end a line. Raises `UsageError`."""
    source = sys.stdin.fileno() if str(file) == "-" else file
    try:
        return open(source, encoding="utf-8", errors="surrogateescape", newline="\n")  # noqa: PTH123 - or a descriptor
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None


def _json_report(report: VerifyReport, options: VerifyOptions, problems: _Problems) -> dict[str, object]:
    found = report.diagnosis
    return {
        "sound": found is None,
        "finding": found and {"row": found.seq, "fault": str(found.fault), "explanation": found.words},
        "rows": report.rows,
        "first": report.start.seq + 1 if report.rows else None,
        "follows": str(report.start),
        "head": str(report.head),
        "keyed": options.seal.keyed,
        "unkeyed_until": report.unkeyed_until,
        "anchors": [str(head) for head in options.anchors],
        "unguarded": problems.broken_guards,
        "mismatches": problems.mismatches,
    }


def _text_report(report: VerifyReport, options: VerifyOptions, problems: _Problems) -> Iterator[str]:
    if report.diagnosis is not None:
        yield from _explain(report.diagnosis, report)
    elif report.rows:
        yield from _sound(report, options)
    else:
        yield "There are no rows to verify."
    if problems.broken_guards:
        yield str(Unguarded(problems.broken_guards))
    if problems.mismatches:
        yield "Rotations or grants in the database do not match the trail:"
        yield from (f"- {each}" for each in problems.mismatches[:_SHOWN])
    if len(problems.mismatches) > _SHOWN:
        yield f"… and {len(problems.mismatches) - _SHOWN} more. List up to a hundred with: --format json"


def _explain(diagnosis: Diagnosis, report: VerifyReport) -> Iterator[str]:
    yield f"Row {diagnosis.seq}: {diagnosis.fault}. {diagnosis.words}"
    if diagnosis.fault is ChainFault.UNSEALED:
        yield "If the key was introduced later, give the last row before it: --unkeyed-until SEQ."
    if report.rows and report.head.seq < diagnosis.seq:
        yield f"Sound before that: {_row_range(report)}. The last sound row is {report.head}."


def _sound(report: VerifyReport, options: VerifyOptions) -> Iterator[str]:
    yield f"Sound: {_row_range(report)}, sealed {'with the key' if options.seal.keyed else 'without a key'}."
    if report.unkeyed_until:
        yield f"Rows up to {report.unkeyed_until} were written without a key."
    if report.start.seq:
        yield f"Rows before {report.start.seq + 1} are not in this export."
    yield f"Head: {report.head}"
    yield from _limits(options)


def _limits(options: VerifyOptions) -> Iterator[str]:
    if options.anchors:
        newest = max(head.seq for head in options.anchors)
        yield f"The anchors match. Rows cut off after row {newest} would go undetected."
    else:
        yield "Without a head noted earlier, rows cut off at the end would go undetected: --anchor SEQ:HASH"
        if not options.seal.keyed:
            yield "Without a key, a fully rewritten chain would go undetected."
    yield "Note the head, and keep it where nobody who can write to the database can change it."


def _row_range(report: VerifyReport) -> str:
    rows = "1 row" if report.rows == 1 else f"{report.rows:,} rows"
    return f"{rows}, {report.start.seq + 1} to {report.head.seq}"
