"""Run every check, all at the same time, and let none of them take the others down."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from bot.config import Settings
from bot.doctor import allowlist, channel, clocks, database, lockout, slack, turso
from bot.doctor.facts import Facts, opened
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, skipped

Look = Callable[[Facts], Awaitable[list[Finding]]]
Progress = Callable[[int, int], None]
"""Told how many checks are done, and of how many."""

_PATIENCE_SECONDS = 20.0
"""Longer than the questions take on which a check can wait, each for five seconds at most."""

log = structlog.get_logger(__name__)


async def settings(facts: Facts) -> list[Finding]:
    """Say how the bot is configured; wrong settings never come this far."""
    given = facts.settings
    mode = "Socket Mode" if given.slack_app_token is not None else f"HTTP on {given.host}:{given.port}"
    count = len(given.turso_group_tokens)
    tokens = [f"{count} group token{'' if count == 1 else 's'}"] if count else []
    tokens += ["a token of the organization"] if given.turso_api_token is not None else []
    return [
        ok(Check.SETTINGS, f"Complete: {mode}, Turso organization {given.turso_organization}, {' and '.join(tokens)}.")
    ]


CHECKS: Mapping[Check, Look] = {
    Check.SETTINGS: settings,
    Check.DATABASE: database.reachable,
    Check.SCHEMA: database.schema,
    Check.GUARDS: database.guards,
    Check.DATABASE_CLOCK: clocks.database,
    Check.AUDIT_KEY: database.audit_key,
    Check.SEAL: database.seal,
    Check.SLACK_TOKEN: slack.token,
    Check.SLACK_CLOCK: clocks.slack,
    Check.WORKSPACE: slack.workspace,
    Check.SCOPES: slack.scopes,
    Check.SOCKET: slack.socket,
    Check.APP: slack.app,
    Check.DEPLOYMENTS: slack.deployments,
    Check.CHANNEL: channel.reachable,
    Check.CHANNEL_SHARED: channel.shared,
    Check.TURSO_TOKEN: turso.token,
    Check.TURSO_CLOCK: clocks.turso,
    Check.ORGANIZATION: turso.organization,
    Check.GROUP: turso.group,
    Check.RIGHTS: turso.rights,
    Check.BREADTH: turso.breadth,
    Check.LOCKOUT: lockout.lockout,
    Check.ANYBODY: allowlist.anybody,
    Check.EXPIRED: allowlist.expired,
    Check.UNUSED: allowlist.unused,
    Check.WIDE: allowlist.wide,
    Check.FOREIGN: allowlist.foreign,
    Check.PEOPLE: allowlist.people,
}


async def examine(settings: Settings, replicas: int, progress: Progress) -> Sequence[Finding]:
    """Look at everything; the findings come in the order of `Check`."""
    async with opened(settings, replicas) as facts:
        return await look(facts, CHECKS, progress)


async def look(facts: Facts, checks: Mapping[Check, Look], progress: Progress) -> Sequence[Finding]:
    """Run checks side by side."""
    done = 0

    async def one(check: Check, ask: Look) -> list[Finding]:
        nonlocal done
        findings = await _guarded(check, ask, facts)
        done += 1
        progress(done, len(checks))
        return findings

    progress(0, len(checks))
    found = await asyncio.gather(*(one(check, ask) for check, ask in checks.items()))
    return [finding for findings in found for finding in findings]


async def _guarded(check: Check, ask: Look, facts: Facts) -> list[Finding]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await ask(facts)
    except Unreadable as why:
        return [skipped(check, str(why))]
    except TimeoutError:
        return [failure(check, f"There was no answer in {_PATIENCE_SECONDS:g} seconds.", "Run the doctor again.")]
    except Exception as error:
        log.debug("a check broke", check=check, exc_info=True)
        words = f"The check itself broke ({type(error).__name__}): what it looked at has an unexpected shape."
        return [failure(check, words, "Report it, with what LOG_LEVEL=debug turso-rotate doctor shows.")]
