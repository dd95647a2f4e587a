"""The checks that `serve` makes at every start: those that need no call."""

from collections.abc import Sequence

from bot.config import Settings
from bot.doctor.checks.database import audit_key_finding
from bot.doctor.checks.lockout import database_host_finding
from bot.doctor.checks.slack import scope_findings
from bot.doctor.findings import Finding, FindingState


def startup_findings(settings: Settings, scopes: frozenset[str] | None) -> Sequence[Finding]:
    """Return what needs attention; `scopes` is `None` if Slack did not name the bot token's."""
    findings = [audit_key_finding(settings), database_host_finding(settings)]
    if scopes is not None:
        findings += scope_findings(settings, scopes)
    return [finding for finding in findings if finding.state is not FindingState.OK]
