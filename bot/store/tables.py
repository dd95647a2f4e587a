"""The tables, apart from the values they hold."""

from collections.abc import Iterator
from itertools import combinations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text

from bot.domain.states import State
from bot.store.sqltypes import CanonicalJson, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only if the key's type is spelled INTEGER.
_Key = BigInteger().with_variant(Integer(), "sqlite")


def _newest_first(
    name: str, first: tuple[str, ...], status: str, order: tuple[str, ...], where: str | None = None
) -> Iterator[Index]:
    """Index history for every choice of group, person and status, so that no filtered page scans."""
    condition = None if where is None else text(where)
    for choice in (choice for size in range(4) for choice in combinations(("group", "user_id", status), size)):
        index_name = "_".join((name, *(choice or ("all",))))
        yield Index(index_name, *first, *choice, *order, sqlite_where=condition, postgresql_where=condition)


allowlist = Table(
    "allowlist",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("until", UtcTime),
    Column("note", Text, nullable=False),
    Column("granted_at", UtcTime, nullable=False),
    Column("granted_by_team", Text, nullable=False),
    Column("granted_by_user", Text, nullable=False),
    Column("revoked_at", UtcTime),
    Column("revoked_by_team", Text),
    Column("revoked_by_user", Text),
    Column("role", Text, nullable=False),
    CheckConstraint("role IN ('rotate', 'audit')", name="role"),
    Index(None, "team_id", "user_id"),
)

rotations = Table(
    "rotations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("databases", CanonicalJson),
    Column("state", Text, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("lease_until", UtcTime),
    Column("ended_at", UtcTime),
    Column("claim", Text),
    Column("world", BigInteger, nullable=False, server_default="0"),
    Column("detail", CanonicalJson, nullable=False),
    Column("resolved_as", Text),
    CheckConstraint(f"state IN ({', '.join(repr(str(state)) for state in State)})", name="state"),
    CheckConstraint("resolved_as IN ('succeeded', 'failed')", name="resolved_as"),
    CheckConstraint("(state = 'rotating') <= (lease_until IS NOT NULL)", name="lease"),
    Index(
        "uq_rotations_rotating",
        "organization",
        "group",
        unique=True,
        sqlite_where=text("state = 'rotating'"),
        postgresql_where=text("state = 'rotating'"),
    ),
    Index(
        "ix_rotations_open",
        "requested_at",
        sqlite_where=text("state IN ('requested', 'rotating')"),
        postgresql_where=text("state IN ('requested', 'rotating')"),
    ),
    Index(
        "ix_rotations_unresolved",
        "organization",
        sqlite_where=text("state = 'unknown' AND resolved_as IS NULL"),
        postgresql_where=text("state = 'unknown' AND resolved_as IS NULL"),
    ),
    Index(None, "organization", "group", "started_at"),
    *_newest_first("ix_rotations", ("organization",), "state", ("requested_at", "id")),
)

NO_ROTATION = (
    "CASE WHEN rotation_id IS NULL THEN action IN ('rotation.denied', 'rotation.rejected', 'rotation.noted') "
    "ELSE false END"
)
"""The condition for events that history shows although they have no rotation: refused commands, and notes.

It is one CASE because SQLite would otherwise take the index on `rotation_id` for the best one, and sort.
"""

CHANGES_WORLD = "action IN ('rotation.started', 'rotation.noted')"
"""The condition for events after which an older card no longer describes its group."""

REKEYED = "action = 'audit.rekeyed'"
"""The condition for events that changed the key of the trail."""

audit_events = Table(
    "audit_events",
    metadata,
    Column("seq", _Key, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("action", Text, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("organization", Text, nullable=False),
    Column("group", Text),
    Column("rotation_id", Text),
    Column("detail", CanonicalJson, nullable=False),
    Column("delivery", Text, unique=True),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    CheckConstraint("length(hash) = 64 AND length(prev_hash) = 64", name="sealed"),
    Index(None, "rotation_id", "seq"),
    Index(
        "ix_audit_events_world",
        "organization",
        "group",
        "seq",
        sqlite_where=text(CHANGES_WORLD),
        postgresql_where=text(CHANGES_WORLD),
    ),
    Index("ix_audit_events_rekeyed", "seq", sqlite_where=text(REKEYED), postgresql_where=text(REKEYED)),
    *_newest_first("ix_audit_events", (), "action", ("at", "seq")),
    # What has no rotation, history finds here.
    *_newest_first("ix_audit_events_no_rotation", ("organization",), "action", ("at", "seq"), where=NO_ROTATION),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("rotation_id", Text, ForeignKey("rotations.id")),
    Column("kind", Text, nullable=False),
    Column("subject", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index(None, "due_at"),
)
