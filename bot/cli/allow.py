"""`allow add`, `allow remove`, `allow list` and `allow who`: the allowlist on a terminal."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from bot.cli.database import configured, with_database
from bot.cli.operator import operator
from bot.cli.output import Format, show
from bot.config import DatabaseSettings
from bot.domain.allowlist import Allowlist, allowance
from bot.domain.errors import UsageError
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.domain.periods import moment, rfc3339
from bot.store.allowlist import SqlGrants
from bot.store.database import Database

app = typer.Typer(help="Say who may rotate what, and who may read everything.", no_args_is_help=True)

User = Annotated[str, typer.Argument(help="The user's id in Slack, like U024BE7LH.", metavar="USER")]
Team = Annotated[str | None, typer.Option(help="The team's id; asked of Slack when a bot token is configured.")]
As = Annotated[Format, typer.Option("--format", help="How to print the list.")]


@app.command()
def add(  # noqa: PLR0913 - one for each option
    user: User,
    *,
    group: Annotated[
        str | None, typer.Option(help="A group, or a pattern with *, ? and [...], like 'prod-*'; auditors need none.")
    ] = None,
    role: Annotated[
        Role, typer.Option(help="`rotate` the groups that match, or `audit`: read everything and rotate nothing.")
    ] = Role.ROTATE,
    team: Team = None,
    until: Annotated[str | None, typer.Option(help="The last day (UTC) on which it holds, like 2027-01-31.")] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the grant.")] = "",
) -> None:
    """Allow a user to rotate the groups that match, or to read everything."""
    settings, actor = _prepare(user, team)
    last_day = None if until is None else _day(until)

    async def work(database: Database) -> tuple[Grant, list[str]]:
        allowlist = _list(database, settings)
        grant = await allowlist.add(actor, group, role=role, last_day=last_day, note=note)
        held = await allowlist.held_by(actor)
        return grant, [each.pattern for each in held if each.role is Role.ROTATE]

    grant, patterns = with_database(settings, work, writes=True)
    typer.echo(f"{user} {allowance(grant.role, grant.pattern)} {_until(grant)}.", err=True)
    if grant.role is Role.AUDIT and patterns:
        typer.echo(f"By another grant {user} may still rotate {', '.join(patterns)}.", err=True)


@app.command()
def remove(
    user: User,
    *,
    group: Annotated[str | None, typer.Option(help="Only the grant to rotate exactly this group or pattern.")] = None,
    role: Annotated[Role | None, typer.Option(help="Only grants of this role.")] = None,
    team: Team = None,
) -> None:
    """Revoke a user's grants, all of them unless told which; the rows stay, marked as revoked."""
    settings, actor = _prepare(user, team)
    revoked = with_database(
        settings, lambda database: _list(database, settings).remove(actor, group, role), writes=True
    )
    for grant in revoked:
        what = f"rotate {grant.pattern}" if grant.role is Role.ROTATE else "read everything"
        typer.echo(f"{user} may no longer {what}.", err=True)


@app.command("list")
def list_grants(
    *,
    revoked: Annotated[bool, typer.Option("--all", help="Show revoked grants too.")] = False,
    form: As = Format.TABLE,
) -> None:
    """List the grants, oldest first."""
    settings = configured()
    held = with_database(settings, lambda database: _list(database, settings).read(revoked=revoked))
    rows = [_row(grant, held.now, form) for grant in held.grants]
    show(rows, form, empty="The allowlist is empty: nobody may rotate.")


@app.command()
def who(
    group: Annotated[str, typer.Argument(help="The group, as Turso calls it.", metavar="GROUP")],
    at: Annotated[
        str | None, typer.Option(help="A day (UTC) like 2026-10-01, a moment like 2026-10-01T08:00:00Z, or 7d ago.")
    ] = None,
    form: As = Format.TABLE,
) -> None:
    """Say who could rotate a group: at any moment of a day, at a moment, or now."""
    settings = configured()
    since, until = _span(at)
    grants = with_database(settings, lambda database: _list(database, settings).who(group, since, until))
    rows = [_line(grant, form) for grant in grants]
    show(rows, form, empty=_nobody(group, since, until))


def _prepare(user: str, team: str | None) -> tuple[DatabaseSettings, Actor]:
    settings = configured()
    return settings, Actor(TeamId(team or asyncio.run(_ask_team(settings))), UserId(user))


async def _ask_team(settings: DatabaseSettings) -> str:
    if settings.slack_bot_token is None:
        raise UsageError("Name the team with --team, or configure SLACK_BOT_TOKEN so that Slack can be asked.")
    from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - rarely needed

    from bot.slack.bolt import identify  # noqa: PLC0415 - the same

    token = settings.slack_bot_token.get_secret_value()
    return (await identify(AsyncWebClient(token, base_url=settings.slack_api_url))).team_id


def _list(database: Database, settings: DatabaseSettings) -> Allowlist:
    return Allowlist(SqlGrants(database, settings.seal()), operator(), Organization(settings.turso_organization or ""))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("A day is written like 2027-01-31.") from None


def _span(at: str | None) -> tuple[datetime | None, datetime | None]:
    """Read a day as its first instant and the first after it, and a moment as itself. Raises `UsageError`."""
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


def _until(grant: Grant) -> str:
    return "until it is removed" if grant.until is None else f"until {_last_day(grant.until)}, that day (UTC) included"


def _last_day(until: datetime | None) -> str | None:
    return None if until is None else (until - timedelta(microseconds=1)).date().isoformat()


def _row(grant: Grant, now: datetime, form: Format) -> dict[str, Any]:
    state = "in force" if grant.in_force(now) else "revoked" if grant.revoked_at else "ended"
    return {
        "user": grant.actor.user_id,
        "team": grant.actor.team_id,
        "role": str(grant.role),
        "group": grant.pattern,
        "until": _last_day(grant.until),
        "state": state,
        "note": grant.note,
        **(_in_short(grant) if form is Format.TABLE else _in_full(grant)),
    }


def _line(grant: Grant, form: Format) -> dict[str, Any]:
    """Show a grant as an answer to who could rotate."""
    who = {"user": grant.actor.user_id, "team": grant.actor.team_id, "pattern": grant.pattern}
    until, by = _last_day(grant.until), grant.granted_by.user_id
    if form is not Format.TABLE:
        return {**who, "until": until, "note": grant.note, **_in_full(grant)}
    start = f"{grant.granted_at:%Y-%m-%d %H:%M}"
    return {**who, "from": start, "until": until, "granted by": by, "revoked": _revoked(grant), "note": grant.note}


def _in_short(grant: Grant) -> dict[str, Any]:
    return {
        "granted": f"{grant.granted_at:%Y-%m-%d %H:%M} by {grant.granted_by.user_id}",
        "revoked": _revoked(grant),
    }


def _revoked(grant: Grant) -> str | None:
    if grant.revoked_at is None or grant.revoked_by is None:
        return None
    return f"{grant.revoked_at:%Y-%m-%d %H:%M} by {grant.revoked_by.user_id}"


def _in_full(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "granted_at": rfc3339(grant.granted_at),
        "granted_by": grant.granted_by.user_id,
        "revoked_at": None if grant.revoked_at is None else rfc3339(grant.revoked_at),
        "revoked_by": None if grant.revoked_by is None else grant.revoked_by.user_id,
    }
