"""Whether a rotation could cut the bot off from its own database."""

from collections.abc import Sequence

from bot.config import Settings
from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, failure, ok, warning
from bot.doctor.turso import Token, path, tokens
from bot.domain.models import GroupInfo, GroupName
from bot.domain.policy import refuses_lockout
from bot.turso.databases import of_group

_MEND = "Move the database out of the groups that the bot rotates, and set DATABASE_URL."
_AT_TURSO = ".turso.io"


async def lockout(facts: Facts) -> list[Finding]:
    """Ask of each group what the bot asks before it rotates one: whether it holds the bot's own database."""
    host = facts.settings.database_url.host
    if host is None:
        return [ok(Check.LOCKOUT, "The database is on this machine: no rotation touches it.")]
    looks = [await _look(facts, each, name) for each in tokens(facts.settings) for name in await _names(facts, each)]
    refused = [(look, refusal) for name, look in looks if (refusal := refuses_lockout(look, host, name))]
    for look, refusal in refused:
        if look.databases is not None:
            return [failure(Check.LOCKOUT, str(refusal), _MEND)]
    if refused or (not looks and host.endswith(_AT_TURSO)):
        found = f"The database is on {host}, and Turso could not be asked in which group: such rotations are refused."
        return [warning(Check.LOCKOUT, found, _MEND)]
    return [ok(Check.LOCKOUT, f"No group that the bot may rotate holds a database on {host}.")]


async def _names(facts: Facts, each: Token) -> Sequence[str]:
    if each.group is not None:
        return [each.group]
    listed = await facts.turso.get(path(facts, "groups"), each.secret)
    others = facts.settings.turso_group_tokens
    return [name for row in listed.rows("groups") if (name := str(row.get("name", ""))) not in others]


async def _look(facts: Facts, each: Token, name: str) -> tuple[GroupName, GroupInfo]:
    page = "databases" if each.group is None else f"databases?group={name}"
    answer = await facts.turso.get(path(facts, page), each.secret)
    if not answer.yes:
        return GroupName(name), GroupInfo(exists=None, databases=None)
    names, hostnames = of_group(GroupName(name), answer.rows("databases"))
    return GroupName(name), GroupInfo(exists=True, databases=names, hostnames=hostnames)


def judged_host(settings: Settings) -> list[Finding]:
    """Say whether the database's host alone gives reason to worry; asks nobody."""
    host = settings.database_url.host or ""
    if not host.endswith(_AT_TURSO):
        return [ok(Check.LOCKOUT, "The database is not with Turso.")]
    found = f"The database is on {host}: rotating its group would cut the bot off from its own record."
    return [warning(Check.LOCKOUT, found, _MEND)]
