"""`audit verify`: check that the trail, or an export of it, is still the chain that was written."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TextIO

import typer

from bot.cli.database import load_settings
from bot.cli.options import ReportFormatOption
from bot.cli.output import ReportFormat, progress
from bot.config import DatabaseSettings
from bot.domain.errors import Unguarded, UsageError
from bot.store.driver_errors import DAMAGED
from bot.store.trail_reader import open_trail
from bot.trail.diagnose import ChainFault, Diagnosis
from bot.trail.export import read_export
from bot.trail.report import VerifyOptions, VerifyReport, parse_anchor
from bot.trail.verify import verify

_SHOWN = 10
NO_ROWS = "There are no rows to verify. A new database has none; otherwise they were removed, or the export failed."

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

    Exits with 1 if a row is not as it was written, and explains the first such row; also if there are no rows, if
    rotations or grants in the database do not match the rows, if what protects history is missing, disabled, changed
    or added to, or if a SQLite file is damaged.
    """
    settings = load_settings()
    heads = tuple(parse_anchor(text) for text in anchors or ())
    seals = settings.seal(), settings.earlier_seals()
    options = VerifyOptions(*seals, heads, unkeyed_until or 0, partial=file is not None)
    if options.unkeyed_until and not options.seal.keyed:
        raise UsageError("--unkeyed-until is for a trail with a key: set AUDIT_KEY.")
    if options.earlier and not options.seal.keyed:
        raise UsageError("AUDIT_KEYS_BEFORE is for the keys before AUDIT_KEY: set that too.")
    report, problems = _verify_database(settings, options) if file is None else _verify_file(file, options)
    if output_format is ReportFormat.JSON:
        typer.echo(json.dumps(_json_report(report, options, problems), indent=2))
    else:
        typer.echo("\n".join(_text_report(report, options, problems)))
    if report.diagnosis or not report.rows or problems != _Problems():
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Problems:
    """What is wrong in the database around the trail."""

    broken_guards: Sequence[str] = ()
    mismatches: Sequence[str] = ()
    damage: Sequence[str] = ()


def _verify_database(settings: DatabaseSettings, options: VerifyOptions) -> tuple[VerifyReport, _Problems]:
    with open_trail(settings.database_url) as reading, progress(reading.last()) as show_progress:
        report = verify(reading.rows(), options, show_progress)
        mismatches = [] if report.diagnosis else reading.mismatches()  # a changed trail proves nothing
        guards, damage = tuple(sorted(reading.broken_guards())), tuple(reading.damage())
        return report, _Problems(guards, tuple(mismatches), damage)


def _verify_file(file: Path, options: VerifyOptions) -> tuple[VerifyReport, _Problems]:
    with _open_export(file) as export, progress(None) as show_progress:
        lines = _Lines(export)
        report = verify(read_export(lines), options, show_progress)
    if report.diagnosis is not None and lines.broken_off and report.rows == lines.rows - 1:
        words = "What is here ends in the middle of a line: the rest of the export is missing."
        report = replace(report, diagnosis=Diagnosis(ChainFault.CUT, report.diagnosis.seq, words))
    return report, _Problems()


class _Lines:
    """The lines of an export, how many hold a row, and whether the last one has no end."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.rows = 0
        self.broken_off = False

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.rows += not line.startswith("seq,")
            self.broken_off = not line.endswith("\n")
            yield line


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
        "sound": found is None and report.rows > 0,
        "finding": found and {"row": found.seq, "fault": str(found.fault), "explanation": found.words},
        "rows": report.rows,
        "first": report.first if report.rows else None,
        "follows": str(report.start),
        "head": str(report.head),
        "keyed": options.seal.keyed,
        "unkeyed_until": report.unkeyed_until,
        "key_changes": report.changes,
        "unverifiable": [
            {"first": gap.first, "last": gap.last, "anchored": gap.anchored, "content_checked": False}
            for gap in report.gaps
        ],
        "anchors": [str(head) for head in options.anchors],
        "unguarded": problems.broken_guards,
        "mismatches": problems.mismatches,
        "damage": problems.damage,
    }


def _text_report(report: VerifyReport, options: VerifyOptions, problems: _Problems) -> Iterator[str]:
    if report.diagnosis is not None:
        yield from _explain(report.diagnosis, report)
    elif report.rows:
        yield from _sound(report, options)
    else:
        yield NO_ROWS
        yield from _unverifiable(report)
    if problems.broken_guards:
        yield str(Unguarded(problems.broken_guards))
    if problems.damage:
        yield DAMAGED
        yield from (f"- {each}" for each in problems.damage)
    if problems.mismatches:
        yield "Rotations or grants in the database do not match the trail:"
        yield from (f"- {each}" for each in problems.mismatches[:_SHOWN])
    if len(problems.mismatches) > _SHOWN:
        yield f"… and {len(problems.mismatches) - _SHOWN} more. List up to a hundred with: --format json"


def _explain(diagnosis: Diagnosis, report: VerifyReport) -> Iterator[str]:
    yield f"Row {diagnosis.seq}: {diagnosis.fault}. {diagnosis.words}"
    if diagnosis.fault is ChainFault.UNSEALED:
        yield "If the key was introduced later, give the last row before it: --unkeyed-until SEQ."
    if diagnosis.fault is ChainFault.UNVERIFIABLE:
        yield f"Sound from there on: {_row_range(report)}."
    elif report.rows and report.head.seq < diagnosis.seq:
        yield f"Sound before that: {_row_range(report)}. The last sound row is {report.head}."


def _sound(report: VerifyReport, options: VerifyOptions) -> Iterator[str]:
    yield f"Sound: {_row_range(report)}, sealed {'with the key' if options.seal.keyed else 'without a key'}."
    if report.unkeyed_until:
        yield f"Rows up to {report.unkeyed_until} were written without a key."
    yield from _keys(report)
    yield from _unverifiable(report)
    if report.start.seq:
        yield f"Rows before {report.start.seq + 1} are not in this export."
    yield f"Head: {report.head}"
    yield from _limits(options)


def _keys(report: VerifyReport) -> Iterator[str]:
    if report.changes:
        yield f"The key was changed in row {', '.join(map(str, report.changes))}."
    if not report.in_force:
        yield "These rows have an earlier key. Whoever knows that key could have written them."
    elif report.head.seq in report.changes:
        yield "No row has the new key yet. Until one does, whoever knows the key before it could have rewritten all."


def _unverifiable(report: VerifyReport) -> Iterator[str]:
    for gap in report.gaps:
        yield (
            f"What rows {gap.first} to {gap.last} say cannot be checked by anybody without their key, which is not in "
            "AUDIT_KEYS_BEFORE: the anchor only shows that their hashes stand. "
            "If no key was ever lost, they were changed."
        )


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
    between = [f"{gap.first} to {gap.last}" for gap in report.gaps if gap.first > report.first]
    return f"{rows}, {report.first} to {report.head.seq}{' without ' * bool(between)}{' and '.join(between)}"
