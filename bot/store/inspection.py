"""Read what a check of the database needs: the state of its schema, its newest rows and the use of its grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, bindparam, func, select, text, type_coerce

from bot.domain.errors import SchemaMismatch
from bot.domain.events import Action
from bot.domain.grants import GrantSnapshot
from bot.domain.models import Actor
from bot.domain.periods import rfc3339
from bot.store import schema
from bot.store.allowlist import SqlGrants
from bot.store.database import Database
from bot.store.guards import broken_guards
from bot.store.rows import fault_of_text
from bot.store.sqltypes import UnreadableValue, database_now
from bot.store.tables import REKEYED, audit_events, rotations
from bot.store.trail import NEWEST_CHANGE_OF_KEY
from bot.trail.chain import Row, Seal, named_key

_NOW = select(database_now())
_DURABILITY = select(
    *(func.current_setting(name).label(name) for name in ("synchronous_commit", "fsync", "full_page_writes"))
)
_ORGANIZATIONS = select(func.min(rotations.c.organization), func.max(rotations.c.organization))
_LAST_REQUEST = select(func.max(audit_events.c.at)).where(
    audit_events.c.user_id == bindparam("user_id"),
    audit_events.c.team_id == bindparam("team_id"),
    audit_events.c.action == str(Action.REQUESTED),
)
_CHANGES_OF_KEY = select(type_coerce(audit_events.c.detail, Text)).where(text(REKEYED))
# `detail` as its stored text, because the hash covers that.
_NEWEST = select(
    *(each for each in audit_events.c if each.name != "detail"),
    type_coerce(audit_events.c.detail, Text).label("detail"),
).order_by(audit_events.c.seq.desc())


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The state of the schema, and the database's time."""

    mismatch: str
    """How the schema differs from this version's, in words; empty if it is current."""
    broken_guards: frozenset[str]
    """See `bot.store.guards.broken_guards`; only known of a current schema."""
    now: datetime
    is_pooled: bool = False
    """Whether a pooler stands between the bot and PostgreSQL."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A row that changed the key of the audit trail."""

    seq: int
    fingerprint: str | None
    """That of the key from then on."""


async def read_status(database: Database) -> DatabaseStatus:
    """Read the status of a database with any schema. Raises `DatabaseError`."""

    def transaction(connection: Connection) -> DatabaseStatus:
        now, pooled = connection.execute(_NOW).scalar_one(), is_pooled(connection)
        try:
            schema.refuse_other_versions(connection)
        except SchemaMismatch as mismatch:
            return DatabaseStatus(str(mismatch), frozenset(), now, pooled)
        return DatabaseStatus("", frozenset(broken_guards(connection)), now, pooled)

    return await database.read(transaction)


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler stands between the bot and PostgreSQL."""
    return getattr(connection.connection.dbapi_connection, "is_pooled", False)


async def weak_settings(database: Database) -> Mapping[str, str]:
    """Return those settings of PostgreSQL, for the bot's sessions, with which a crash may lose what was committed.

    Raises `DatabaseError`.
    """

    def transaction(connection: Connection) -> Mapping[str, str]:
        if connection.dialect.name == "sqlite":
            return {}  # each connection of the bot sets how it writes
        values = connection.execute(_DURABILITY).one()._asdict()
        return {name: value for name, value in values.items() if value in {"off", "local"}}

    return await database.read(transaction)


async def newest_rows(database: Database, count: int, before: int | None = None) -> Sequence[Row]:
    """Read the newest rows of the audit trail, or of those before a row, the newest last. Raises `DatabaseError`."""
    query = _NEWEST if before is None else _NEWEST.where(audit_events.c.seq < before)

    def transaction(connection: Connection) -> Sequence[Row]:
        return [_stored_row(row) for row in connection.execute(query.limit(count))][::-1]

    return await database.read(transaction)


def stored_row(connection: Connection, seq: int) -> Row:
    """Read a row of the audit trail that is there, as its hash covers it."""
    return _stored_row(connection.execute(_NEWEST.where(audit_events.c.seq == seq)).one())


def _stored_row(row: Any) -> Row:
    columns = row._asdict()
    return Row(**{**columns, "at": _stored(columns["at"])})


def _stored(at: datetime | UnreadableValue) -> str:
    return str(at.raw) if isinstance(at, UnreadableValue) else rfc3339(at)


async def newest_change_of_key(database: Database) -> KeyChange | None:
    """Read the newest row that changed the key of the audit trail, if one did. Raises `DatabaseError`."""
    row = await database.read(lambda connection: connection.execute(NEWEST_CHANGE_OF_KEY).first())
    return None if row is None else KeyChange(row.seq, named_key(row.detail))


def keys_on_record(connection: Connection) -> frozenset[str | None]:
    """Return the fingerprints of all keys that rows name: of each new key, and of the one that it replaced."""
    details = connection.scalars(_CHANGES_OF_KEY).all()
    return frozenset(named_key(detail, member) for detail in details for member in ("fingerprint", "replaces"))


async def organizations(database: Database) -> Sequence[str]:
    """List one or two of the organizations that have rotations in the database. Raises `DatabaseError`."""
    first, last = await database.read(lambda connection: tuple(connection.execute(_ORGANIZATIONS).one()))
    return sorted(each for each in {first, last} if not fault_of_text(each))


async def grant_usage(database: Database, seal: Seal) -> tuple[GrantSnapshot, Mapping[Actor, datetime]]:
    """Read the grants that were not revoked, and when each holder last requested a rotation, if ever.

    Raises `DatabaseError`.
    """
    held = await SqlGrants(database, seal).all()
    holders = {grant.actor for grant in held.grants}

    def transaction(connection: Connection) -> Mapping[Actor, datetime]:
        last = {
            actor: connection.execute(_LAST_REQUEST, {"user_id": actor.user_id, "team_id": actor.team_id}).scalar_one()
            for actor in holders
        }
        return {actor: at for actor, at in last.items() if isinstance(at, datetime)}

    return held, await database.read(transaction)
