"""`doctor`: check everything the bot depends on, and print the findings."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot import __version__
from bot.cli.options import ReportFormatOption
from bot.cli.output import ReportFormat
from bot.config import Settings, load
from bot.doctor.findings import Check, Finding, FindingState, counts
from bot.domain.periods import rfc3339
from bot.domain.text import escaped
from bot.ops import log

ReplicasOption = Annotated[
    int, typer.Option(min=0, metavar="NUMBER", help="How many replicas of this deployment run right now.")
]

_STYLES = {
    FindingState.OK: "green",
    FindingState.WARNING: "yellow",
    FindingState.FAILURE: "bold red",
    FindingState.SKIPPED: "dim",
}
_STATE_WIDTH = max(len(state) for state in FindingState)
_CHECK_WIDTH = max(len(check) for check in Check)
_GAP = 2
_INDENT = _STATE_WIDTH + _CHECK_WIDTH + 2 * _GAP
_PIPED = 240


def run_doctor(*, output_format: ReportFormatOption = ReportFormat.TABLE, replicas: ReplicasOption = 1) -> None:
    """Check the settings and everything the bot depends on.

    Checks the database, Slack, Turso and the allowlist, changes nothing, and names the fix for each problem. Exits
    with 1 if a check fails, with 2 if a setting is missing or malformed.
    """
    settings = load(Settings)
    redactor = log.configure(settings.log_level, settings.log_format, settings.secrets())
    findings = [_sanitize(finding, redactor.text) for finding in _examine(settings, replicas)]
    if output_format is ReportFormat.JSON:
        typer.echo(json.dumps(_json_report(findings), ensure_ascii=False, indent=2))
    else:
        _print_findings(findings)
    if counts(findings)[FindingState.FAILURE]:
        raise typer.Exit(1)


def _examine(settings: Settings, replicas: int) -> Sequence[Finding]:
    from bot.doctor.examination import examine  # noqa: PLC0415 - it imports every client

    with _progress() as progress:
        return asyncio.run(examine(settings, replicas, progress))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many checks are done, if standard error is a terminal."""
    with Console(stderr=True).status("Asking Slack, Turso and the database …") as status:
        yield lambda done, of: status.update(f"Asking Slack, Turso and the database: {done} of {of} checks done …")


def _sanitize(finding: Finding, redact: Callable[[str], str]) -> Finding:
    """Redact secrets in a finding, and escape control characters."""
    found, fix, subject = (
        None if text is None else escaped(redact(text)) for text in (finding.found, finding.fix, finding.subject)
    )
    return replace(finding, found=found or "", fix=fix, subject=subject)


def _json_report(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "version": __version__,
        "at": rfc3339(datetime.now(UTC)),
        "counts": {str(state): count for state, count in counts(findings).items()},
        "findings": [
            {
                "check": str(each.check),
                "subject": each.subject,
                "state": str(each.state),
                "found": each.found,
                "fix": each.fix,
            }
            for each in findings
        ],
    }


def _print_findings(findings: Sequence[Finding]) -> None:
    """Print a row for each finding, and below it the fix, on one line that can be copied."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_PIPED, highlight=False)
    console.print(_row("STATE", "CHECK", Text("FINDING AND FIX"), style="bold"))
    for finding in findings:
        console.print(_row(finding.state, finding.check, Text(_sentence(finding)), style=_STYLES[finding.state]))
        if finding.fix is not None:
            fits = _INDENT + 2 + len(finding.fix) <= console.width
            console.print(Text(" " * (_INDENT if fits else 2) + f"→ {finding.fix}"), soft_wrap=True)
    console.print(_summary(findings))


def _row(state: str, check: str, found: Text, *, style: str) -> Table:
    row = Table.grid(padding=(0, _GAP, 0, 0))
    row.add_column(width=_STATE_WIDTH)
    row.add_column(width=_CHECK_WIDTH)
    row.add_column(overflow="fold")
    row.add_row(Text(state, style), Text(check), found)
    return row


def _sentence(finding: Finding) -> str:
    """Return the finding, with its subject if the words do not contain it."""
    known = finding.subject is None or finding.subject in finding.found
    return finding.found if known else f"{finding.subject}: {finding.found}"


def _summary(findings: Sequence[Finding]) -> str:
    count = counts(findings)
    failures, warnings = count[FindingState.FAILURE], count[FindingState.WARNING]
    return (
        f"\n{failures} failure{'' if failures == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}, "
        f"{count[FindingState.OK]} ok, {count[FindingState.SKIPPED]} skipped."
    )
