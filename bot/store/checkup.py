"""What a check-up reads from the database: where its schema stands, its newest rows, and who uses their grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Text, bindparam, func, select, type_coerce

from bot.domain.errors import SchemaMismatch
from bot.domain.events import Action
from bot.domain.grants import GrantSnapshot
from bot.domain.models import Actor
from bot.domain.periods import rfc3339
from bot.store import schema
from bot.store.allowlist import SqlGrants
from bot.store.database import Database
from bot.store.sqltypes import database_now
from bot.store.tables import audit_events, rotations
from bot.trail.chain import Row, Seal

_NOW = select(database_now())
_ORGANIZATIONS = select(func.min(rotations.c.organization), func.max(rotations.c.organization))
_LAST_ASKED = select(func.max(audit_events.c.at)).where(
    audit_events.c.user_id == bindparam("of_user"),
    audit_events.c.team_id == bindparam("of_team"),
    audit_events.c.action == str(Action.REQUESTED),
)
# The text itself of `detail`, as the seal covers it.
_NEWEST = select(
    *(each for each in audit_events.c if each.name != "detail"),
    type_coerce(audit_events.c.detail, Text).label("detail"),
).order_by(audit_events.c.seq.desc())


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the schema stands, and the database's time."""

    mismatch: str
    """How the schema differs from this version's, in words; empty when it is current."""
    unguarded: frozenset[str]
    """The triggers that should guard history and do not; only known of a current schema."""
    now: datetime


async def standing(database: Database) -> Standing:
    """Read where the database stands, whatever its schema. Raises `DatabaseError`."""

    def work(connection: Connection) -> Standing:
        now = connection.execute(_NOW).scalar_one()
        try:
            schema.refuse_other_versions(connection)
        except SchemaMismatch as mismatch:
            return Standing(str(mismatch), frozenset(), now)
        return Standing("", frozenset(schema.unguarded(connection)), now)

    return await database.read(work)


async def newest_rows(database: Database, count: int) -> Sequence[Row]:
    """Read the newest rows of the audit trail, the newest last. Raises `DatabaseError`."""

    def work(connection: Connection) -> Sequence[Row]:
        rows = [row._asdict() for row in connection.execute(_NEWEST.limit(count))]
        return [Row(**{**row, "at": rfc3339(row["at"])}) for row in reversed(rows)]

    return await database.read(work)


async def organizations(database: Database) -> Sequence[str]:
    """Name one or two organizations of whose rotations the database holds history. Raises `DatabaseError`."""
    first, last = await database.read(lambda connection: tuple(connection.execute(_ORGANIZATIONS).one()))
    return sorted({first, last} - {None})


async def grants(database: Database, seal: Seal) -> tuple[GrantSnapshot, Mapping[Actor, datetime]]:
    """Read the grants that were not revoked, and when each holder last asked for a rotation, if ever.

    Raises `DatabaseError`.
    """
    held = await SqlGrants(database, seal).all()
    holders = {grant.actor for grant in held.grants}

    def work(connection: Connection) -> Mapping[Actor, datetime]:
        asked = {
            actor: connection.execute(_LAST_ASKED, {"of_user": actor.user_id, "of_team": actor.team_id}).scalar_one()
            for actor in holders
        }
        return {actor: at for actor, at in asked.items() if at is not None}

    return held, await database.read(work)
