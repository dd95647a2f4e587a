"""`allow list` and `allow who`: show who holds grants, now or at another time."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from bot.cli.database import load_settings, with_database
from bot.cli.operator import operator
from bot.cli.options import FormatOption, GroupArgument
from bot.cli.output import OutputFormat, exit_if_incomplete, print_rows
from bot.config import DatabaseSettings
from bot.domain.allowlist import Allowlist
from bot.domain.grants import Grant
from bot.domain.models import Actor, Organization
from bot.domain.periods import moment, rfc3339
from bot.store.allowlist import SqlGrants
from bot.store.database import Database

AllOption = Annotated[bool, typer.Option("--all", help="Include revoked grants.")]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="A day (UTC) like 2026-10-01, a time like 2026-10-01T08:00:00Z, or an age like 7d."
    ),
]


def list_grants(*, revoked: AllOption = False, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List the grants, oldest first."""
    settings = load_settings()
    snapshot = with_database(settings, lambda database: open_allowlist(database, settings).read(revoked=revoked))
    rows = [_grant_row(grant, snapshot.now, output_format) for grant in snapshot.grants]
    print_rows(rows, output_format, empty="The allowlist is empty: nobody may rotate.")
    exit_if_incomplete(snapshot.unreadable)


def list_holders(group: GroupArgument, at: AtOption = None, output_format: FormatOption = OutputFormat.TABLE) -> None:
    """List who may rotate a group now, or could at another time.

    For a day, lists everybody who could rotate the group at any moment of that day.
    """
    settings = load_settings()
    since, until = _parse_at(at)
    grants = with_database(settings, lambda database: open_allowlist(database, settings).who(group, since, until))
    rows = [_holder_row(grant, output_format) for grant in grants]
    print_rows(rows, output_format, empty=_nobody(group, since, until))
    exit_if_incomplete(grants.unreadable)


def open_allowlist(database: Database, settings: DatabaseSettings) -> Allowlist:
    """Return the allowlist of the organization in the settings, changed by who runs the command."""
    return Allowlist(SqlGrants(database, settings.seal()), operator(), Organization(settings.turso_organization or ""))


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
