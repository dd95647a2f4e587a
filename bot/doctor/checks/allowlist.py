"""Check that the allowlist says what people think it says."""

import asyncio
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from bot.doctor.calls import CALL_SECONDS, ServiceAnswer
from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, ok, warning
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, UserId

UNUSED_DAYS = 90
"""How old a grant must be before it counts as unused."""
_MOST = 10
_TRAITS = {
    "deleted": "has left: the account is deactivated",
    "is_restricted": "is a guest",
    "is_ultra_restricted": "is a guest",
    "is_bot": "is a bot",
    "is_stranger": "belongs to another organization",
}
"""What Slack marks a user as, and how a finding puts it."""


async def check_allowlist_anybody(context: CheckContext) -> list[Finding]:
    """Check that every grant can be read, and that somebody may rotate something."""
    unreadable = (await context.grants()).snapshot.unreadable
    grants, team = await _rotate_grants(context), await context.team()
    if unreadable:
        fix = "Revoke what its holder has with `turso-rotate allow remove`, and add it anew."
        return [warning(Check.ALLOWLIST_ANYBODY, str(row), fix, row.key) for row in unreadable[:_MOST]]
    count = len({grant.actor for grant in grants if grant.actor.team_id == team})
    if count == 0:
        fix = "turso-rotate allow add USER --group GROUP"
        return [warning(Check.ALLOWLIST_ANYBODY, "Nobody may rotate any group.", fix)]
    return [ok(Check.ALLOWLIST_ANYBODY, f"{count} {'person' if count == 1 else 'people'} may rotate.")]


async def check_allowlist_expired(context: CheckContext) -> list[Finding]:
    """Find grants whose last day is over, unless the same was granted again."""
    snapshot = (await context.grants()).snapshot
    held = {(grant.actor, grant.role, grant.pattern) for grant in snapshot.in_force}
    over = [grant for grant in snapshot.grants if grant.until is not None and grant.until <= snapshot.now]
    # The fix for one that was granted again would revoke the new grant too.
    ended = [grant for grant in over if (grant.actor, grant.role, grant.pattern) not in held]
    findings = _warn_each(
        Check.ALLOWLIST_EXPIRED, ended, lambda grant: f"The grant for {grant.pattern} ended on {grant.last_day}."
    )
    return findings or [ok(Check.ALLOWLIST_EXPIRED, "No grant has ended.")]


async def check_allowlist_unused(context: CheckContext) -> list[Finding]:
    """Find old grants whose holder has requested no rotation since they were added."""
    usage = await context.grants()
    before = usage.snapshot.now - timedelta(days=UNUSED_DAYS)
    unused = [each for each in await _rotate_grants(context) if each.granted_at <= before and usage.unused(each)]
    findings = _warn_each(
        Check.ALLOWLIST_UNUSED,
        unused,
        lambda grant: f"The grant for {grant.pattern}, added on {grant.granted_at:%Y-%m-%d}, has not been used.",
    )
    return findings or [ok(Check.ALLOWLIST_UNUSED, f"No grant has been unused for {UNUSED_DAYS} days.")]


async def check_allowlist_wide(context: CheckContext) -> list[Finding]:
    """Find grants that cover every group, now and in future."""
    wide = [grant for grant in await _rotate_grants(context) if not grant.pattern.strip("*")]
    findings = _warn_each(
        Check.ALLOWLIST_WIDE,
        wide,
        lambda grant: f"{grant.actor.user_id} may rotate every group, including groups created later.",
    )
    return findings or [ok(Check.ALLOWLIST_WIDE, "Nobody may rotate every group.")]


async def check_allowlist_foreign(context: CheckContext) -> list[Finding]:
    """Find grants to people of other workspaces, which the bot does not serve."""
    snapshot, team = (await context.grants()).snapshot, await context.team()
    foreign = [grant for grant in snapshot.in_force if grant.actor.team_id != team]
    findings = _warn_each(
        Check.ALLOWLIST_FOREIGN,
        foreign,
        lambda grant: f"The grant for {grant.pattern} is to someone in {grant.actor.team_id}, not in {team}.",
    )
    return findings or [ok(Check.ALLOWLIST_FOREIGN, "Every grant is to someone in this workspace.")]


async def check_allowlist_people(context: CheckContext) -> list[Finding]:
    """Find grants to people who have left, and to guests."""
    if "users:read" not in await context.scopes():
        raise CannotCheck("The bot needs the scope users:read to see who has left or is a guest.")
    snapshot, team = (await context.grants()).snapshot, await context.team()
    users = sorted({grant.actor.user_id for grant in snapshot.in_force if grant.actor.team_id == team})
    answers = await _look_up(context, users)
    findings = [
        warning(Check.ALLOWLIST_PEOPLE, f"{user} {trait}.", _remove_command(Actor(team, user)), user)
        for user in users
        if (trait := _trait(answers.get(user)))
    ]
    findings = _shorten(Check.ALLOWLIST_PEOPLE, findings)
    missing = len(users) - sum(answer.succeeded or _is_unknown(answer) for answer in answers.values())
    if missing:
        found = f"Could not look up {missing} of {len(users)} people on the allowlist in time."
        findings.append(warning(Check.ALLOWLIST_PEOPLE, found, "Run the doctor again in a minute."))
    return findings or [ok(Check.ALLOWLIST_PEOPLE, "Nobody on the allowlist has left or is a guest.")]


async def _look_up(context: CheckContext, users: Sequence[UserId]) -> dict[UserId, ServiceAnswer]:
    """Ask Slack about users, and return the answers that arrive in time."""
    tasks = {user: asyncio.ensure_future(context.slack.call("users.info", user=user)) for user in users}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=CALL_SECONDS)
    for task in tasks.values():
        task.cancel()
    return {user: task.result() for user, task in tasks.items() if task.done() and not task.cancelled()}


def _trait(answer: ServiceAnswer | None) -> str | None:
    """Return what is unusual about a user, as the rest of a sentence."""
    if answer is None or not answer.arrived:
        return None
    if _is_unknown(answer):
        return "is unknown to Slack in this workspace"
    user = answer.member("user")
    return next((words for trait, words in _TRAITS.items() if user.get(trait)), None)


def _is_unknown(answer: ServiceAnswer) -> bool:
    return answer.error == "user_not_found"


async def _rotate_grants(context: CheckContext) -> list[Grant]:
    in_force = (await context.grants()).snapshot.in_force
    return [grant for grant in in_force if grant.role is Role.ROTATE]


def _warn_each(check: Check, grants: Iterable[Grant], describe: Callable[[Grant], str]) -> list[Finding]:
    findings = [
        warning(check, describe(grant), _remove_command(grant.actor, _selecting(grant)), grant.actor.user_id)
        for grant in grants
    ]
    return _shorten(check, findings)


def _shorten(check: Check, findings: list[Finding]) -> list[Finding]:
    if len(findings) <= _MOST:
        return findings
    more = warning(check, f"The same applies to {len(findings) - _MOST} more.", "turso-rotate allow list")
    return [*findings[:_MOST], more]


def _selecting(grant: Grant) -> tuple[str, str]:
    """Return the option of `allow remove` that selects this grant among those of its holder."""
    return ("--role", str(grant.role)) if grant.role is Role.AUDIT else ("--group", grant.pattern)


def _remove_command(actor: Actor, which: tuple[str, ...] = ()) -> str:
    return shlex.join(["turso-rotate", "allow", "remove", actor.user_id, "--team", actor.team_id, *which])
