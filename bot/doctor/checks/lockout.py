"""Check that no rotation can cut the bot off from its own database."""

from collections.abc import Sequence

from bot.config import Settings
from bot.database_url import database_hosts
from bot.doctor.checks.turso import ConfiguredToken, configured_tokens, organization_path
from bot.doctor.context import CheckContext
from bot.doctor.findings import Check, Finding, failure, ok, warning
from bot.domain.models import GroupInfo, GroupName
from bot.domain.policy import is_at_turso, refuses_lockout
from bot.turso.databases import of_group

_FIX = "Move the database out of the groups that the bot rotates, and update DATABASE_URL."


async def check_turso_lockout(context: CheckContext) -> list[Finding]:
    """Check of each group what the bot checks before a rotation: that it does not hold the bot's own database."""
    hosts = database_hosts(context.settings.database_url)
    if not hosts:
        return [ok(Check.TURSO_LOCKOUT, "The database is on this machine: no rotation affects it.")]
    groups = [
        await _group_info(context, token, name)
        for token in configured_tokens(context.settings)
        for name in await _group_names(context, token)
    ]
    refused = [(name, info) for name, info in groups if refuses_lockout(info, hosts, name)]
    for name, info in refused:
        if info.databases is not None:
            found = f"The bot's own database is in {name}: a rotation would cut the bot off from its audit trail."
            return [failure(Check.TURSO_LOCKOUT, found, _FIX)]
    on = " or ".join(hosts)
    if refused or (not groups and any(map(is_at_turso, hosts))):
        found = f"The database is on {on}, but Turso did not say in which group. The bot refuses such rotations."
        return [warning(Check.TURSO_LOCKOUT, found, _FIX)]
    return [ok(Check.TURSO_LOCKOUT, f"No group that the bot may rotate holds a database on {on}.")]


async def _group_names(context: CheckContext, token: ConfiguredToken) -> Sequence[str]:
    if token.group is not None:
        return [token.group]
    listed = await context.turso.get(organization_path(context, "groups"), token.secret)
    others = context.settings.turso_group_tokens
    return [name for each in listed.members("groups") if (name := str(each.get("name", ""))) not in others]


async def _group_info(context: CheckContext, token: ConfiguredToken, name: str) -> tuple[GroupName, GroupInfo]:
    page = "databases" if token.group is None else f"databases?group={name}"
    answer = await context.turso.get(organization_path(context, page), token.secret)
    if not answer.succeeded:
        return GroupName(name), GroupInfo(exists=None, databases=None)
    names, hostnames = of_group(GroupName(name), answer.members("databases"))
    return GroupName(name), GroupInfo(exists=True, databases=names, hostnames=hostnames)


def database_host_finding(settings: Settings) -> Finding:
    """Return whether the database's host alone gives reason for concern, without a call."""
    hosts = [host for host in database_hosts(settings.database_url) if is_at_turso(host)]
    if not hosts:
        return ok(Check.TURSO_LOCKOUT, "The database is not hosted by Turso.")
    found = f"The database is on {hosts[0]}: rotating its group would cut the bot off from its audit trail."
    return warning(Check.TURSO_LOCKOUT, found, _FIX)
