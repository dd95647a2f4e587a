"""`audit list` and `audit show`: the history on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bot import log
from bot.audit import Filter, action, as_json, moment
from bot.cli.database import with_database
from bot.cli.output import Format, show
from bot.config import DatabaseSettings, load
from bot.errors import NotKnown
from bot.models import GroupName, Recorded, RotationId, UserId
from bot.store.audit import SqlTrail

app = typer.Typer(help="Read what happened.", no_args_is_help=True)

As = Annotated[Format, typer.Option("--format", help="How to print the events.")]
Group = Annotated[str | None, typer.Option(help="Only events of this group.")]
User = Annotated[str | None, typer.Option(help="Only events of this user (Slack id, or operating-system user).")]
Named = Annotated[str | None, typer.Option("--action", help="Only this action, like succeeded or rotation.denied.")]
Since = Annotated[str | None, typer.Option(help="Only from then on: 7d, 2026-10-01 or an RFC 3339 time.")]
Until = Annotated[str | None, typer.Option(help="Only before then, written alike.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many events.")]


@app.command("list")
def list_events(  # noqa: PLR0913 - one for each option
    *,
    group: Group = None,
    user: User = None,
    named: Named = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    form: As = Format.TABLE,
) -> None:
    """List events, newest first. Times are UTC."""
    now = datetime.now(UTC)
    wanted = Filter(
        group=GroupName(group) if group else None,
        user_id=UserId(user) if user else None,
        action=action(named) if named else None,
        since=moment(since, now) if since else None,
        until=moment(until, now) if until else None,
    )
    settings = _settings()
    _print(
        with_database(settings, lambda database: SqlTrail(database, settings.seal()).page(wanted, limit=limit)), form
    )


@app.command("show")
def show_rotation(
    rotation: Annotated[str, typer.Argument(help="The rotation's id, as the bot's messages name it.")],
    form: As = Format.TABLE,
) -> None:
    """Tell the story of one rotation, in order."""
    settings = _settings()
    story = with_database(settings, lambda database: SqlTrail(database, settings.seal()).story(RotationId(rotation)))
    if not story:
        raise NotKnown
    _print(story, form)


def _settings() -> DatabaseSettings:
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    return settings


def _print(events: Sequence[Recorded], form: Format) -> None:
    rows = [as_json(recorded) if form is Format.JSON else _row(recorded) for recorded in events]
    show(rows, form, empty="No event matches.")


def _row(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    return {
        "seq": recorded.seq,
        "at": f"{recorded.at:%Y-%m-%d %H:%M:%S}",
        "action": str(event.action),
        "actor": f"{event.actor.team_id}/{event.actor.user_id}",
        "group": event.group,
        "rotation": event.rotation_id,
        "detail": ", ".join(f"{name}={value}" for name, value in event.detail.items()),
    }
