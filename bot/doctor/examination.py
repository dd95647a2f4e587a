"""Run all checks at once, and keep one that fails unexpectedly from stopping the others."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from bot.config import Settings
from bot.doctor.checks import allowlist, channel, clocks, database, lockout, slack, turso
from bot.doctor.context import CheckContext, open_context
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, skipped

CheckFunction = Callable[[CheckContext], Awaitable[list[Finding]]]
Progress = Callable[[int, int], None]
"""Called with the number of checks that are done, and of all checks."""

_LIMIT_SECONDS = 20.0
"""Longer than the calls of any one check can take, at five seconds each."""

log = structlog.get_logger(__name__)


async def check_settings(context: CheckContext) -> list[Finding]:
    """Describe how the bot is configured; wrong settings never come this far."""
    settings = context.settings
    mode = "Socket Mode" if settings.slack_app_token is not None else f"HTTP on {settings.host}:{settings.port}"
    count = len(settings.turso_group_tokens)
    tokens = [f"{count} group token{'' if count == 1 else 's'}"] if count else []
    tokens += ["an organization token"] if settings.turso_api_token is not None else []
    organization = settings.turso_organization
    return [ok(Check.SETTINGS, f"Complete: {mode}, Turso organization {organization}, {' and '.join(tokens)}.")]


CHECKS: Mapping[Check, CheckFunction] = {
    Check.SETTINGS: check_settings,
    Check.DATABASE_REACHABLE: database.check_database_reachable,
    Check.DATABASE_WRITABLE: database.check_database_writable,
    Check.DATABASE_DURABILITY: database.check_database_durability,
    Check.DATABASE_SCHEMA: database.check_database_schema,
    Check.DATABASE_GUARDS: database.check_database_guards,
    Check.DATABASE_CLOCK: clocks.check_database_clock,
    Check.AUDIT_KEY: database.check_audit_key,
    Check.AUDIT_SEAL: database.check_audit_seal,
    Check.SLACK_TOKEN: slack.check_slack_token,
    Check.SLACK_CLOCK: clocks.check_slack_clock,
    Check.SLACK_WORKSPACE: slack.check_slack_workspace,
    Check.SLACK_SCOPES: slack.check_slack_scopes,
    Check.SLACK_SOCKET: slack.check_slack_socket,
    Check.SLACK_APP: slack.check_slack_app,
    Check.SLACK_DEPLOYMENTS: slack.check_slack_deployments,
    Check.CHANNEL_REACHABLE: channel.check_channel_reachable,
    Check.CHANNEL_SHARED: channel.check_channel_shared,
    Check.TURSO_TOKEN: turso.check_turso_token,
    Check.TURSO_CLOCK: clocks.check_turso_clock,
    Check.TURSO_ORGANIZATION: turso.check_turso_organization,
    Check.TURSO_GROUP: turso.check_turso_group,
    Check.TURSO_RIGHTS: turso.check_turso_rights,
    Check.TURSO_BREADTH: turso.check_turso_breadth,
    Check.TURSO_LOCKOUT: lockout.check_turso_lockout,
    Check.ALLOWLIST_ANYBODY: allowlist.check_allowlist_anybody,
    Check.ALLOWLIST_EXPIRED: allowlist.check_allowlist_expired,
    Check.ALLOWLIST_UNUSED: allowlist.check_allowlist_unused,
    Check.ALLOWLIST_WIDE: allowlist.check_allowlist_wide,
    Check.ALLOWLIST_FOREIGN: allowlist.check_allowlist_foreign,
    Check.ALLOWLIST_PEOPLE: allowlist.check_allowlist_people,
}


async def examine(settings: Settings, replicas: int, progress: Progress) -> Sequence[Finding]:
    """Run every check; the findings come in the order of `Check`."""
    async with open_context(settings, replicas) as context:
        return await run_checks(context, CHECKS, progress)


async def run_checks(
    context: CheckContext, checks: Mapping[Check, CheckFunction], progress: Progress
) -> Sequence[Finding]:
    """Run checks concurrently."""
    done = 0

    async def run(check: Check, function: CheckFunction) -> list[Finding]:
        nonlocal done
        findings = await _run_check(check, function, context)
        done += 1
        progress(done, len(checks))
        return findings

    progress(0, len(checks))
    results = await asyncio.gather(*(run(check, function) for check, function in checks.items()))
    return [finding for findings in results for finding in findings]


async def _run_check(check: Check, function: CheckFunction, context: CheckContext) -> list[Finding]:
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            return await function(context)
    except CannotCheck as reason:
        return [skipped(check, str(reason))]
    except TimeoutError:
        return [failure(check, f"The check did not finish within {_LIMIT_SECONDS:g} seconds.", "Run the doctor again.")]
    except Exception as error:
        log.debug("a check failed unexpectedly", check=check, exc_info=True)
        found = f"The check itself failed ({type(error).__name__}): what it read has an unexpected shape."
        return [failure(check, found, "Report this bug, with the output of: LOG_LEVEL=debug turso-rotate doctor")]
