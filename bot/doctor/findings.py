"""What the doctor checks, and what a check finds: a state, a sentence, and how to fix it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but needs attention."""
    FAILURE = "failure"
    """Something does not work, or will not work when it is needed."""
    SKIPPED = "skipped"
    """The check does not apply, or could not read what it needs."""


class Check(StrEnum):
    """The names of the checks. Scripts rely on them: add, never rename."""

    SETTINGS = "settings"
    DATABASE_REACHABLE = "database.reachable"
    DATABASE_WRITABLE = "database.writable"
    DATABASE_DURABILITY = "database.durability"
    DATABASE_SCHEMA = "database.schema"
    DATABASE_GUARDS = "database.guards"
    DATABASE_CLOCK = "database.clock"
    AUDIT_KEY = "audit.key"
    AUDIT_SEAL = "audit.seal"
    SLACK_TOKEN = "slack.token"  # noqa: S105 - a name
    SLACK_CLOCK = "slack.clock"
    SLACK_WORKSPACE = "slack.workspace"
    SLACK_SCOPES = "slack.scopes"
    SLACK_SOCKET = "slack.socket"
    SLACK_APP = "slack.app"
    SLACK_DEPLOYMENTS = "slack.deployments"
    CHANNEL_REACHABLE = "channel.reachable"
    CHANNEL_SHARED = "channel.shared"
    TURSO_TOKEN = "turso.token"  # noqa: S105 - a name
    TURSO_CLOCK = "turso.clock"
    TURSO_ORGANIZATION = "turso.organization"
    TURSO_GROUP = "turso.group"
    TURSO_RIGHTS = "turso.rights"
    TURSO_BREADTH = "turso.breadth"
    TURSO_LOCKOUT = "turso.lockout"
    ALLOWLIST_ANYBODY = "allowlist.anybody"
    ALLOWLIST_EXPIRED = "allowlist.expired"
    ALLOWLIST_UNUSED = "allowlist.unused"
    ALLOWLIST_WIDE = "allowlist.wide"
    ALLOWLIST_FOREIGN = "allowlist.foreign"
    ALLOWLIST_PEOPLE = "allowlist.people"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    check: Check
    state: FindingState
    found: str
    fix: str | None = None
    """A command or a step; `None` if there is nothing to fix."""
    subject: str | None = None
    """The group, user, setting or scope it is about, where a check looks at several."""


class CannotCheck(Exception):
    """Raised by a check that does not apply or cannot read what it needs; reported as skipped."""


def ok(check: Check, found: str, subject: str | None = None) -> Finding:
    """Report that all is well."""
    return Finding(check, FindingState.OK, found, subject=subject)


def warning(check: Check, found: str, fix: str, subject: str | None = None) -> Finding:
    """Report something that works but needs attention."""
    return Finding(check, FindingState.WARNING, found, fix, subject)


def failure(check: Check, found: str, fix: str, subject: str | None = None) -> Finding:
    """Report something that does not work."""
    return Finding(check, FindingState.FAILURE, found, fix, subject)


def skipped(check: Check, found: str, fix: str | None = None, subject: str | None = None) -> Finding:
    """Report why a check was skipped."""
    return Finding(check, FindingState.SKIPPED, found, fix, subject)


def counts(findings: Iterable[Finding]) -> Mapping[FindingState, int]:
    """Count the findings of each state."""
    states = [finding.state for finding in findings]
    return {state: states.count(state) for state in FindingState}
