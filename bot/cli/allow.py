"""`allow add` and `allow remove`: change the allowlist."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from bot.cli.database import load_settings, with_database
from bot.cli.holders import open_allowlist
from bot.cli.options import masked, not_a_token
from bot.config import DatabaseSettings
from bot.domain.allowlist import Allowlist, allowance
from bot.domain.errors import DatabaseError, SlackUnusable, UsageError
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, TeamId, UserId
from bot.domain.readable import Readable
from bot.store.database import Database

_SLACK_SECONDS = 10

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="The user's Slack ID, like U024BE7LH.")]
TeamOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEAM", help="The team's Slack ID, like T012AB3CD; by default, Slack is asked with the bot token."
    ),
]
PatternOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="GROUP",
        callback=not_a_token,
        help="A group like payments, or a pattern with *, ? and [...] like 'prod-*'.",
    ),
]
RoleOption = Annotated[
    Role, typer.Option(help="rotate: rotate the matching groups. audit: read everything, rotate nothing.")
]
LastDayOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DAY", help="The last day (UTC) on which the grant holds, like 2027-01-31."),
]
GrantNoteOption = Annotated[
    str, typer.Option(metavar="TEXT", callback=masked, help="The reason. It is kept with the grant.")
]
OnlyPatternOption = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="GROUP", callback=not_a_token, help="Only the grant for exactly this group or pattern."
    ),
]
OnlyRoleOption = Annotated[Role | None, typer.Option("--role", help="Only grants of this role.")]


def add_grant(  # noqa: PLR0913 - one for each option
    user: UserArgument,
    *,
    group: PatternOption = None,
    role: RoleOption = Role.ROTATE,
    team: TeamOption = None,
    until: LastDayOption = None,
    note: GrantNoteOption = "",
) -> None:
    """Allow a user to rotate groups, or to read everything."""
    settings, actor = _prepare(user, team)
    if team is not None and settings.slack_bot_token is not None:
        asyncio.run(_check_team(settings, team))
    last_day = None if until is None else _parse_day(until)

    async def add(database: Database) -> tuple[Grant, Sequence[Grant]]:
        allowlist = open_allowlist(database, settings)
        grant = await allowlist.add(actor, group, role=role, last_day=last_day, note=note)
        return grant, await _held_by(allowlist, actor)

    grant, held = with_database(settings, add, writes=True)
    typer.echo(f"{user} {allowance(grant.role, grant.pattern)}{_end(grant)}.", err=True)
    if grant.role is Role.AUDIT:
        _echo_others(user, held)


def remove_grants(
    user: UserArgument, *, group: OnlyPatternOption = None, role: OnlyRoleOption = None, team: TeamOption = None
) -> None:
    """Revoke a user's grants.

    Revokes all of them unless --group or --role selects some. Revoked grants stay on record.
    """
    settings, actor = _prepare(user, team)

    async def remove(database: Database) -> tuple[Readable[Grant], Sequence[Grant]]:
        allowlist = open_allowlist(database, settings)
        revoked = await allowlist.remove(actor, group, role)
        return revoked, await _held_by(allowlist, actor)

    revoked, held = with_database(settings, remove, writes=True)
    for grant in revoked:
        what = f"rotate {grant.pattern}" if grant.role is Role.ROTATE else "read everything"
        typer.echo(f"Revoked {user}'s grant to {what}.", err=True)
    for row in revoked.unreadable:
        typer.echo(f"Revoked one more of {user}'s grants. {row}", err=True)
    _echo_others(user, held)


async def _held_by(allowlist: Allowlist, actor: Actor) -> Sequence[Grant]:
    """Read what else the user holds, unless the database fails just now: what was changed stays changed."""
    try:
        return await allowlist.held_by(actor)
    except DatabaseError:
        return ()


def _prepare(user: str, team: str | None) -> tuple[DatabaseSettings, Actor]:
    settings = load_settings()
    return settings, Actor(TeamId(team or asyncio.run(_ask_team(settings))), UserId(user))


async def _ask_team(settings: DatabaseSettings) -> str:
    if settings.slack_bot_token is None:
        raise UsageError("Pass --team, or set SLACK_BOT_TOKEN so that the bot can ask Slack.")
    from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - rarely needed

    from bot.slack.bolt import identify  # noqa: PLC0415 - the same

    token = settings.slack_bot_token.get_secret_value()
    web = AsyncWebClient(token, base_url=settings.slack_api_url, timeout=_SLACK_SECONDS)
    return (await identify(web)).team_id


async def _check_team(settings: DatabaseSettings, team: str) -> None:
    """Refuse a team other than the bot's, whose grants would never hold; warn if Slack cannot be asked."""
    try:
        served = await _ask_team(settings)
    except SlackUnusable as error:
        typer.echo(f"Warning: could not check that the bot serves {team}: {error}", err=True)
        return
    if team != served:
        raise UsageError(
            f"The bot serves {served}: pass that as --team, or leave --team out. Grants to others never hold."
        )


def _echo_others(user: str, held: Sequence[Grant]) -> None:
    if patterns := [grant.pattern for grant in held if grant.role is Role.ROTATE]:
        typer.echo(f"{user} may still rotate {', '.join(patterns)}, by another grant.", err=True)


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("A day is written like 2027-01-31.") from None


def _end(grant: Grant) -> str:
    return ", with no end date" if grant.last_day is None else f" through {grant.last_day} (UTC)"
