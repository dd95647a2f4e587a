"""What a check says: how things are, in plain words, and the exact step that mends them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and should be seen to."""
    FAILURE = "failure"
    """Something does not work, or will not when it is needed."""
    SKIPPED = "skipped"
    """It could not be looked at, or does not apply."""


class Check(StrEnum):
    """What is looked at. Scripts hang on these names: add, never rename."""

    SETTINGS = "settings"
    DATABASE = "database.reachable"
    SCHEMA = "database.schema"
    GUARDS = "database.guards"
    DATABASE_CLOCK = "database.clock"
    AUDIT_KEY = "audit.key"
    SEAL = "audit.seal"
    SLACK_TOKEN = "slack.token"  # noqa: S105 - a name
    SLACK_CLOCK = "slack.clock"
    WORKSPACE = "slack.workspace"
    SCOPES = "slack.scopes"
    SOCKET = "slack.socket"
    APP = "slack.app"
    DEPLOYMENTS = "slack.deployments"
    CHANNEL = "channel.reachable"
    CHANNEL_SHARED = "channel.shared"
    TURSO_TOKEN = "turso.token"  # noqa: S105 - a name
    TURSO_CLOCK = "turso.clock"
    ORGANIZATION = "turso.organization"
    GROUP = "turso.group"
    RIGHTS = "turso.rights"
    BREADTH = "turso.breadth"
    LOCKOUT = "turso.lockout"
    ANYBODY = "allowlist.anybody"
    EXPIRED = "allowlist.expired"
    UNUSED = "allowlist.unused"
    WIDE = "allowlist.wide"
    FOREIGN = "allowlist.foreign"
    PEOPLE = "allowlist.people"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: Check
    state: State
    found: str
    fix: str | None = None
    """A command, or a step in a few words; `None` where there is nothing to fix."""
    subject: str | None = None
    """Which one, where a check looks at several: a group, a user, a setting."""


class Unreadable(Exception):
    """What a check needs cannot be read, for a reason that another check reports."""


def ok(check: Check, found: str, subject: str | None = None) -> Finding:
    """Say that all is well."""
    return Finding(check, State.OK, found, subject=subject)


def warning(check: Check, found: str, fix: str, subject: str | None = None) -> Finding:
    """Say what should be seen to."""
    return Finding(check, State.WARNING, found, fix, subject)


def failure(check: Check, found: str, fix: str, subject: str | None = None) -> Finding:
    """Say what does not work."""
    return Finding(check, State.FAILURE, found, fix, subject)


def skipped(check: Check, found: str, fix: str | None = None, subject: str | None = None) -> Finding:
    """Say why it could not be looked at."""
    return Finding(check, State.SKIPPED, found, fix, subject)


def counts(findings: Iterable[Finding]) -> Mapping[State, int]:
    """Count the findings of each state."""
    states = [finding.state for finding in findings]
    return {state: states.count(state) for state in State}
