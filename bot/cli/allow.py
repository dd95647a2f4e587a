"""`allow add`, `allow remove`, `allow list` and `allow who`: manage the allowlist."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from bot.cli.database import load_settings, with_database
from bot.cli.operator import operator
from bot.cli.options import FormatOption, GroupArgument, masked, not_a_token
from bot.cli.output import OutputFormat, exit_if_incomplete, print_rows
from bot.config import DatabaseSettings
from bot.domain.allowlist import Allowlist, allowance
from bot.domain.errors import DatabaseError, SlackUnusable, UsageError
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.domain.periods import moment, rfc3339
from bot.domain.readable import Readable
from bot.store.allowlist import SqlGrants
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
AllOption = Annotated[bool, typer.Option("--all", help="Include revoked grants.")]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="A day (UTC) like 2026-10-01, a time like 2026-10-01T08:00:00Z, or an age like 7d."
    ),
]


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
        allowlist = _open_allowlist(database, settings)
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
        allowlist = _open_allowlist(database, settings)
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


def list_grants(*, revoked: AllOption = False, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List the grants, oldest first."""
    settings = load_settings()
    snapshot = with_database(settings, lambda database: _open_allowlist(database, settings).read(revoked=revoked))
    rows = [_grant_row(grant, snapshot.now, output_format) for grant in snapshot.grants]
    print_rows(rows, output_format, empty="The allowlist is empty: nobody may rotate.")
    exit_if_incomplete(snapshot.unreadable)


def list_holders(group: GroupArgument, at: AtOption = None, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List who may rotate a group now, or could at another time.

    For a day, lists everybody who could rotate the group at any moment of that day.
    """
    settings = load_settings()
    since, until = _parse_at(at)
    grants = with_database(settings, lambda database: _open_allowlist(database, settings).who(group, since, until))
    rows = [_holder_row(grant, output_format) for grant in grants]
    print_rows(rows, output_format, empty=_nobody(group, since, until))
    exit_if_incomplete(grants.unreadable)


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


def _open_allowlist(database: Database, settings: DatabaseSettings) -> Allowlist:
    return Allowlist(SqlGrants(database, settings.seal()), operator(), Organization(settings.turso_organization or ""))


def _echo_others(user: str, held: Sequence[Grant]) -> None:
    if patterns := [grant.pattern for grant in held if grant.role is Role.ROTATE]:
        typer.echo(f"{user} may still rotate {', '.join(patterns)}, by another grant.", err=True)


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("A day is written like 2027-01-31.") from None


def _parse_at(at: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the first instant of a day and of the next one, or a single moment. Raises `UsageError`."""
    if at is None:
        return None, None
    try:
        midnight = datetime.combine(date.fromisoformat(at), time(), UTC)
    except ValueError:
        return moment(at, datetime.now(UTC)), None
    return midnight, min(midnight, datetime.max.replace(tzinfo=UTC) - timedelta(days=1)) + timedelta(days=1)


def _nobody(group: str, since: datetime | None, until: datetime | None) -> str:
    if since is None:
        return f"Nobody may rotate {group} now."
    when = f"at {since:%Y-%m-%d %H:%M:%S}" if until is None else f"on {since:%Y-%m-%d}"
    return f"Nobody could rotate {group} {when} (UTC)."


def _end(grant: Grant) -> str:
    return ", with no end date" if grant.last_day is None else f" through {grant.last_day} (UTC)"


def _grant_row(grant: Grant, now: datetime, output_format: OutputFormat) -> dict[str, Any]:
    short = {"granted": _at_by(grant.granted_at, grant.granted_by), "revoked": _revoked(grant)}
    state = "in force" if grant.in_force(now) else "revoked" if grant.revoked_at else "ended"
    return {
        "user": grant.actor.user_id,
        "team": grant.actor.team_id,
        "role": str(grant.role),
        "group": grant.pattern,
        "until": grant.last_day,
        "state": state,
        "note": grant.note,
        **(_full_history(grant) if output_format is not OutputFormat.TABLE else short),
    }


def _holder_row(grant: Grant, output_format: OutputFormat) -> dict[str, Any]:
    who = {"user": grant.actor.user_id, "team": grant.actor.team_id, "pattern": grant.pattern}
    until, by = grant.last_day, grant.granted_by.user_id
    if output_format is not OutputFormat.TABLE:
        return {**who, "until": until, "note": grant.note, **_full_history(grant)}
    start = f"{grant.granted_at:%Y-%m-%d %H:%M}"
    return {**who, "from": start, "until": until, "granted by": by, "revoked": _revoked(grant), "note": grant.note}


def _revoked(grant: Grant) -> str | None:
    return _at_by(grant.revoked_at, grant.revoked_by) if grant.revoked_at and grant.revoked_by else None


def _at_by(at: datetime, actor: Actor) -> str:
    return f"{at:%Y-%m-%d %H:%M} by {actor.user_id}"


def _full_history(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "granted_at": rfc3339(grant.granted_at),
        "granted_by": grant.granted_by.user_id,
        "revoked_at": None if grant.revoked_at is None else rfc3339(grant.revoked_at),
        "revoked_by": None if grant.revoked_by is None else grant.revoked_by.user_id,
    }
