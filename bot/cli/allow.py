"""`allow add`, `allow remove` and `allow list`: the allowlist on a terminal."""

import asyncio
import os
import pwd
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer

from bot import log
from bot.allowlist import Allowlist
from bot.audit import rfc3339
from bot.cli.database import with_database
from bot.cli.output import Format, show
from bot.config import DatabaseSettings, load
from bot.errors import UsageError
from bot.models import Actor, Grant, Organization, TeamId, UserId
from bot.store.allowlist import SqlGrants
from bot.store.database import Database

app = typer.Typer(help="Say who may rotate what.", no_args_is_help=True)

User = Annotated[str, typer.Argument(help="The user's id in Slack, like U024BE7LH.", metavar="USER")]
Team = Annotated[str | None, typer.Option(help="The team's id; asked of Slack when a bot token is configured.")]
As = Annotated[Format, typer.Option("--format", help="How to print the list.")]


@app.command()
def add(
    user: User,
    group: Annotated[str, typer.Option(help="A group, or a pattern with *, ? and [...], like 'prod-*'.")],
    team: Team = None,
    until: Annotated[str | None, typer.Option(help="The last day (UTC) on which it holds, like 2027-01-31.")] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the grant.")] = "",
) -> None:
    """Allow a user to rotate the groups that match."""
    settings, actor = _prepare(user, team)
    last_day = _day(until)
    grant = with_database(
        settings, lambda database: _list(database, settings).add(actor, group, last_day=last_day, note=note)
    )
    typer.echo(f"{user} may rotate {grant.pattern} {_until(grant)}.", err=True)


@app.command()
def remove(
    user: User,
    group: Annotated[str | None, typer.Option(help="The pattern as it was granted; without it, all of them.")] = None,
    team: Team = None,
) -> None:
    """Revoke a user's grants; the rows stay, marked as revoked."""
    settings, actor = _prepare(user, team)
    for grant in with_database(settings, lambda database: _list(database, settings).remove(actor, group)):
        typer.echo(f"{user} may no longer rotate {grant.pattern}.", err=True)


@app.command("list")
def list_grants(
    *,
    revoked: Annotated[bool, typer.Option("--all", help="Show revoked grants too.")] = False,
    form: As = Format.TABLE,
) -> None:
    """List the grants, oldest first."""
    settings = _settings()
    held = with_database(settings, lambda database: _list(database, settings).read(revoked=revoked))
    rows = [_row(grant, held.now, form) for grant in held.grants]
    show(rows, form, empty="The allowlist is empty: nobody may rotate.")


def _settings() -> DatabaseSettings:
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    return settings


def _prepare(user: str, team: str | None) -> tuple[DatabaseSettings, Actor]:
    settings = _settings()
    return settings, Actor(TeamId(team or asyncio.run(_ask_team(settings))), UserId(user))


async def _ask_team(settings: DatabaseSettings) -> str:
    if settings.slack_bot_token is None:
        raise UsageError("Name the team with --team, or configure SLACK_BOT_TOKEN so that Slack can be asked.")
    from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - rarely needed

    from bot.slack.bolt import identify  # noqa: PLC0415 - the same

    token = settings.slack_bot_token.get_secret_value()
    return (await identify(AsyncWebClient(token, base_url=settings.slack_api_url))).team_id


def _list(database: Database, settings: DatabaseSettings) -> Allowlist:
    # The account of the process, as the variables that name a user can be set to anything.
    operator = Actor.on_terminal(pwd.getpwuid(os.getuid()).pw_name)
    return Allowlist(SqlGrants(database, settings.seal()), operator, Organization(settings.turso_organization or ""))


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError("A day is written like 2027-01-31.") from None


def _until(grant: Grant) -> str:
    return "until it is removed" if grant.until is None else f"until {_last_day(grant.until)}, that day (UTC) included"


def _last_day(until: datetime) -> str:
    return (until - timedelta(microseconds=1)).date().isoformat()


def _row(grant: Grant, now: datetime, form: Format) -> dict[str, Any]:
    state = "in force" if grant.in_force(now) else "revoked" if grant.revoked_at else "ended"
    return {
        "user": grant.actor.user_id,
        "team": grant.actor.team_id,
        "group": grant.pattern,
        "until": None if grant.until is None else _last_day(grant.until),
        "state": state,
        "note": grant.note,
        **(_in_short(grant) if form is Format.TABLE else _in_full(grant)),
    }


def _in_short(grant: Grant) -> dict[str, Any]:
    revoked = None
    if grant.revoked_at is not None and grant.revoked_by is not None:
        revoked = f"{grant.revoked_at:%Y-%m-%d %H:%M} by {grant.revoked_by.user_id}"
    return {"granted": f"{grant.granted_at:%Y-%m-%d %H:%M} by {grant.granted_by.user_id}", "revoked": revoked}


def _in_full(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "granted_at": rfc3339(grant.granted_at),
        "granted_by": grant.granted_by.user_id,
        "revoked_at": None if grant.revoked_at is None else rfc3339(grant.revoked_at),
        "revoked_by": None if grant.revoked_by is None else grant.revoked_by.user_id,
    }
