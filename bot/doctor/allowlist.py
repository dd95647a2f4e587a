"""Whether the allowlist says what people think it says."""

import asyncio
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from bot.doctor.answers import SECONDS, Answer
from bot.doctor.facts import Facts, Grants
from bot.doctor.findings import Check, Finding, Unreadable, ok, warning
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, UserId

UNUSED_DAYS = 90
"""How old a grant must be before it is strange that its holder never asked for a rotation."""
_MOST = 10
_ADD = "turso-rotate allow add USER --group GROUP"


async def anybody(facts: Facts) -> list[Finding]:
    """See whether anybody may rotate anything."""
    grants, team = await facts.grants(), await facts.team()
    people = {grant.actor for grant in _in_force(grants) if grant.actor.team_id == team and grant.role is Role.ROTATE}
    if not people:
        return [warning(Check.ANYBODY, "The allowlist is empty: nobody may rotate.", _ADD)]
    return [ok(Check.ANYBODY, f"{len(people)} {'person' if len(people) == 1 else 'people'} may rotate.")]


async def expired(facts: Facts) -> list[Finding]:
    """Find grants whose last day is over."""
    grants = await facts.grants()
    over = [grant for grant in grants.held.grants if grant.until is not None and grant.until <= grants.held.now]

    def found(grant: Grant) -> str:
        last = "" if grant.until is None else f"{grant.until - timedelta(microseconds=1):%Y-%m-%d}"
        return f"The grant of {grant.pattern} ended after {last}."

    return _each(Check.EXPIRED, over, found) or [ok(Check.EXPIRED, "No grant has ended.")]


async def unused(facts: Facts) -> list[Finding]:
    """Find old grants whose holder has asked for no rotation since."""
    grants = await facts.grants()
    before = grants.held.now - timedelta(days=UNUSED_DAYS)
    idle = [
        grant
        for grant in _in_force(grants)
        if grant.role is Role.ROTATE
        and grant.granted_at <= before
        and not (grant.actor in grants.asked and grants.asked[grant.actor] >= grant.granted_at)
    ]

    def found(grant: Grant) -> str:
        return f"The grant of {grant.pattern}, of {grant.granted_at:%Y-%m-%d}, was never used to ask for a rotation."

    return _each(Check.UNUSED, idle, found) or [ok(Check.UNUSED, f"No grant lay unused for {UNUSED_DAYS} days.")]


async def wide(facts: Facts) -> list[Finding]:
    """Find grants of every group there is and will be."""
    grants = [
        grant for grant in _in_force(await facts.grants()) if grant.role is Role.ROTATE and not grant.pattern.strip("*")
    ]

    def found(grant: Grant) -> str:
        return f"{grant.actor.user_id} may rotate every group, also those made later."

    return _each(Check.WIDE, grants, found) or [ok(Check.WIDE, "Nobody may rotate every group.")]


async def foreign(facts: Facts) -> list[Finding]:
    """Find grants to people of another workspace, which the bot does not serve."""
    grants, team = await facts.grants(), await facts.team()
    strangers = [grant for grant in _in_force(grants) if grant.actor.team_id != team]

    def found(grant: Grant) -> str:
        return f"The grant of {grant.pattern} is to somebody in {grant.actor.team_id}; the bot serves {team} alone."

    return _each(Check.FOREIGN, strangers, found) or [
        ok(Check.FOREIGN, "Every grant is to somebody of this workspace.")
    ]


async def people(facts: Facts) -> list[Finding]:
    """Find grants to people who have left, and to guests."""
    if "users:read" not in await facts.scopes():
        raise Unreadable("Whether people have left, or are guests, cannot be read without the scope users:read.")
    team = await facts.team()
    holders = sorted(
        {grant.actor for grant in _in_force(await facts.grants()) if grant.actor.team_id == team},
        key=lambda actor: actor.user_id,
    )
    answers = await _looked_up(facts, [actor.user_id for actor in holders])
    findings = [
        warning(Check.PEOPLE, f"{actor.user_id} {words}.", _remove(actor), actor.user_id)
        for actor in holders
        if (words := _standing(answers.get(actor.user_id)))
    ]
    findings = _first(Check.PEOPLE, findings)
    missing = len(holders) - sum(answer.yes or answer.error == "user_not_found" for answer in answers.values())
    if missing:
        words = f"{missing} of {len(holders)} people on the allowlist could not be looked up in time."
        findings.append(warning(Check.PEOPLE, words, "Run the doctor again in a minute."))
    return findings or [ok(Check.PEOPLE, "Nobody on the allowlist has left or is a guest.")]


async def _looked_up(facts: Facts, users: Sequence[UserId]) -> dict[UserId, Answer]:
    """Ask Slack about people, as many as it tells in time."""
    tasks = {user: asyncio.ensure_future(facts.slack.ask("users.info", user=user)) for user in users}
    if tasks:
        await asyncio.wait(tasks.values(), timeout=SECONDS)
    for task in tasks.values():
        task.cancel()
    return {user: task.result() for user, task in tasks.items() if task.done() and not task.cancelled()}


def _standing(answer: Answer | None) -> str | None:
    """Say what is odd about a person."""
    if answer is None or not answer.came:
        return None
    if answer.error == "user_not_found":
        return "is nobody whom Slack knows here"
    about = answer.part("user")
    for trait, words in (
        ("deleted", "has left: the account is deactivated"),
        ("is_restricted", "is a guest"),
        ("is_ultra_restricted", "is a guest"),
        ("is_bot", "is a bot"),
        ("is_stranger", "belongs to another organization"),
    ):
        if about.get(trait):
            return words
    return None


def _in_force(grants: Grants) -> list[Grant]:
    return [grant for grant in grants.held.grants if grant.in_force(grants.held.now)]


def _each(check: Check, grants: Iterable[Grant], found: Callable[[Grant], str]) -> list[Finding]:
    rows = [warning(check, found(grant), _remove(grant.actor, grant.pattern), grant.actor.user_id) for grant in grants]
    return _first(check, rows)


def _first(check: Check, findings: list[Finding]) -> list[Finding]:
    """Keep a long list readable."""
    if len(findings) <= _MOST:
        return findings
    more = warning(check, f"The same is true of {len(findings) - _MOST} more.", "turso-rotate allow list")
    return [*findings[:_MOST], more]


def _remove(actor: Actor, pattern: str | None = None) -> str:
    which = [] if pattern is None else ["--group", pattern]
    return shlex.join(["turso-rotate", "allow", "remove", actor.user_id, "--team", actor.team_id, *which])
