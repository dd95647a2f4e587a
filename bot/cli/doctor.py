"""`doctor`: look at everything the bot depends on, and print what was found."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot import __version__
from bot.config import Settings, load
from bot.doctor.findings import Check, Finding, State, counts
from bot.domain.periods import rfc3339
from bot.domain.text import escaped
from bot.ops import log

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILURE: "bold red", State.SKIPPED: "dim"}
_STATE_WIDTH = max(len(state) for state in State)
_CHECK_WIDTH = max(len(check) for check in Check)
_GAP = 2
_INDENT = _STATE_WIDTH + _CHECK_WIDTH + 2 * _GAP
_PIPED = 240


class Form(StrEnum):
    """How the findings are printed."""

    TABLE = "table"
    JSON = "json"


def doctor(
    *,
    form: Annotated[Form, typer.Option("--format", help="How to print the findings.")] = Form.TABLE,
    replicas: Annotated[int, typer.Option(min=0, help="How many replicas of this deployment run right now.")] = 1,
) -> None:
    """Check settings, database, Slack, Turso and the allowlist, and say what mends them. It changes nothing.

    Exits 1 when a check fails, 2 when a setting is missing or malformed.
    """
    settings = load(Settings)
    redactor = log.configure(settings.log_level, settings.log_format, settings.secrets())
    findings = [_clean(finding, redactor.text) for finding in _examined(settings, replicas)]
    if form is Form.JSON:
        typer.echo(json.dumps(_report(findings), ensure_ascii=False, indent=2))
    else:
        _print(findings)
    if counts(findings)[State.FAILURE]:
        raise typer.Exit(1)


def _examined(settings: Settings, replicas: int) -> Sequence[Finding]:
    from bot.doctor.examination import examine  # noqa: PLC0415 - brings every client there is

    with _progress() as progress:
        return asyncio.run(examine(settings, replicas, progress))


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far the check-up is; elsewhere rich keeps silent."""
    with Console(stderr=True).status("Asking Slack, Turso and the database …") as status:
        yield lambda done, of: status.update(f"Asking Slack, Turso and the database: {done} of {of} checks done …")


def _clean(finding: Finding, redact: Callable[[str], str]) -> Finding:
    """Take out of a finding whatever could be a secret, and what could drive a terminal."""
    found, fix, subject = (
        None if text is None else escaped(redact(text)) for text in (finding.found, finding.fix, finding.subject)
    )
    return replace(finding, found=found or "", fix=fix, subject=subject)


def _report(findings: Sequence[Finding]) -> dict[str, Any]:
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


def _print(findings: Sequence[Finding]) -> None:
    """Print a row for each finding, and under it what mends it, on one line that can be copied."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_PIPED, highlight=False)
    console.print(_row("STATE", "CHECK", Text("FINDING, AND WHAT MENDS IT"), style="bold"))
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
    """Name the subject where the words do not."""
    known = finding.subject is None or finding.subject in finding.found
    return finding.found if known else f"{finding.subject}: {finding.found}"


def _summary(findings: Sequence[Finding]) -> str:
    count = counts(findings)
    failures, warnings = count[State.FAILURE], count[State.WARNING]
    return (
        f"\n{failures} failure{'' if failures == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}, "
        f"{count[State.OK]} ok, {count[State.SKIPPED]} skipped."
    )
