"""First tables, their indexes, and the triggers that keep history from being changed."""

from collections.abc import Iterator
from itertools import combinations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# Edited in place until the first release. The digits are the start of a SHA-256 of this file without this line; a
# test says which, so that no database made by an earlier edit is taken for one made by this.
revision = "0001_b22d800a"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

GRANTED = "id, team_id, user_id, pattern, until, note, granted_at, granted_by_team, granted_by_user, role"
REQUESTED = (
    'id, organization, "group", team_id, user_id, channel_id, reason, databases, world, requested_at, expires_at'
)
MOVES = (
    "('requested', 'rotating'), ('requested', 'cancelled'), ('requested', 'expired'), ('requested', 'superseded'), "
    "('rotating', 'succeeded'), ('rotating', 'failed'), ('rotating', 'unknown'), "
    "('unknown', 'succeeded'), ('unknown', 'failed')"
)

APPEND_ONLY = "audit_events is append-only"
IN_TURN = f"{APPEND_ONLY}: a row follows the newest one, and names its hash"
GRANTS_STAY = "a grant never changes, and is revoked once"
REQUESTS_STAY = "a rotation is never deleted, and its request never changes"
FORWARD = "a rotation begins as a request, only moves forward, and holds a lease for an hour at most"
BUSY = "another rotation of the group is running"

ROTATING = "state = 'rotating'"
OPEN = "state IN ('requested', 'rotating')"
UNRESOLVED = "state = 'unknown' AND resolved_as IS NULL"
NO_ROTATION = (
    "CASE WHEN rotation_id IS NULL THEN action IN ('rotation.denied', 'rotation.rejected', 'rotation.noted') "
    "ELSE false END"
)
REKEYED = "action = 'audit.rekeyed'"
CHANGES_WORLD = "action IN ('rotation.started', 'rotation.noted')"

# Every function names where it looks: a temporary table or type, which PostgreSQL finds before its own, comes last.
FUNCTION = "CREATE FUNCTION turso_rotate_{head} LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $${body}$$"
# "tursorot": the lock under which events are numbered. Volatile, so that it reads what was committed before its turn.
TAKE_TURN = """BEGIN
  PERFORM pg_advisory_xact_lock(8391739320791363444);
  SELECT last.seq, last.hash INTO seq, hash FROM audit_events AS last ORDER BY last.seq DESC LIMIT 1;
  SELECT last.detail INTO rekeyed FROM audit_events AS last
    WHERE last.action = 'audit.rekeyed' ORDER BY last.seq DESC LIMIT 1;
  now := clock_timestamp();
END"""
# The error code is that of a broken constraint, as for SQLite's RAISE, so that drivers tell it from an outage.
# Conditions stand in functions, whose text PostgreSQL keeps as it is: it rewrites those of triggers, in each version in
# another way, and then they could not be compared.
REFUSE_IF = """BEGIN
  IF ({condition}) THEN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END"""
# It takes its turn by itself, so that nobody appends out of turn. What only the owner can do, nobody else can record.
# And the commit survives a crash, however the server, the database, the role or the session is configured.
APPEND = """DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(8391739320791363444);
  SELECT newest.seq, newest.hash INTO last FROM audit_events AS newest ORDER BY newest.seq DESC LIMIT 1;
  IF (NEW.seq, NEW.prev_hash) IS DISTINCT FROM (coalesce(last.seq, 0) + 1, coalesce(last.hash, repeat('0', 64))) THEN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.action IN ('allowlist.granted', 'allowlist.revoked', 'audit.rekeyed')
    AND NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
  THEN
    RAISE EXCEPTION 'only the owner of the tables records %', NEW.action USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF current_setting('synchronous_commit') IN ('off', 'local') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  RETURN NEW;
END"""
FUNCTIONS = ("take_turn", "append", "refuse", "keep_grant", "open", "keep_request", "move")


def upgrade() -> None:
    _create_allowlist()
    _create_rotations()
    _create_audit_events()
    _create_outbox()
    # As SQL, so that its text does not depend on the version of SQLAlchemy: it is compared.
    op.execute(f'CREATE UNIQUE INDEX uq_rotations_rotating ON rotations (organization, "group") WHERE {ROTATING}')
    for name, table, columns, where in _indexes():
        only = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
    if op.get_bind().dialect.name == "postgresql":
        _assume_few_values()
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    # Triggers and indexes go with their tables.
    for table in ("outbox", "audit_events", "rotations", "allowlist"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for name in FUNCTIONS:
            op.execute(f"DROP FUNCTION turso_rotate_{name}()")


def _create_allowlist() -> None:
    op.create_table(
        "allowlist",
        sa.Column("id", KEY, nullable=False),
        *_texts("team_id", "user_id", "pattern"),
        sa.Column("until", MOMENT),
        *_texts("note"),
        sa.Column("granted_at", MOMENT, nullable=False),
        *_texts("granted_by_team", "granted_by_user"),
        sa.Column("revoked_at", MOMENT),
        *_texts("revoked_by_team", "revoked_by_user", nullable=True),
        *_texts("role"),
        sa.PrimaryKeyConstraint("id", name="pk_allowlist"),
        sa.CheckConstraint("role IN ('rotate', 'audit')", name=op.f("ck_allowlist_role")),
    )


def _create_rotations() -> None:
    states = "'requested', 'rotating', 'succeeded', 'failed', 'unknown', 'cancelled', 'expired', 'superseded'"
    op.create_table(
        "rotations",
        *_texts("id", "organization", "group", "team_id", "user_id", "channel_id", "reason"),
        *_texts("databases", nullable=True),
        *_texts("state"),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        *(sa.Column(name, MOMENT) for name in ("started_at", "lease_until", "ended_at")),
        *_texts("claim", nullable=True),
        sa.Column("world", sa.BigInteger(), nullable=False, server_default="0"),
        *_texts("detail"),
        *_texts("resolved_as", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_rotations"),
        sa.CheckConstraint(f"state IN ({states})", name=op.f("ck_rotations_state")),
        sa.CheckConstraint("resolved_as IN ('succeeded', 'failed')", name=op.f("ck_rotations_resolved_as")),
        sa.CheckConstraint("(state = 'rotating') <= (lease_until IS NOT NULL)", name=op.f("ck_rotations_lease")),
    )


def _create_audit_events() -> None:
    lengths = "length(hash) = 64 AND length(prev_hash) = 64"
    op.create_table(
        "audit_events",
        sa.Column("seq", KEY, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        *_texts("action", "team_id", "user_id", "organization"),
        *_texts("group", "rotation_id", nullable=True),
        *_texts("detail"),
        *_texts("delivery", nullable=True),
        *_texts("prev_hash", "hash"),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("delivery", name="uq_audit_events_delivery"),
        sa.CheckConstraint(lengths, name=op.f("ck_audit_events_sealed")),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", KEY, nullable=False),
        *_texts("organization"),
        *_texts("rotation_id", nullable=True),
        *_texts("kind"),
        *_texts("subject", nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["rotation_id"], ["rotations.id"], name="fk_outbox_rotation_id"),
    )


def _indexes() -> Iterator[tuple[str, str, list[str], str | None]]:
    """Yield the name, table, columns and condition of each index."""
    yield "ix_allowlist_team_id_user_id", "allowlist", ["team_id", "user_id"], None
    # By age, so that no index over all rotations looks better to a planner.
    yield "ix_rotations_open", "rotations", ["requested_at"], OPEN
    yield "ix_rotations_unresolved", "rotations", ["organization"], UNRESOLVED
    yield "ix_rotations_organization_group_started_at", "rotations", ["organization", "group", "started_at"], None
    yield "ix_audit_events_rotation_id_seq", "audit_events", ["rotation_id", "seq"], None
    yield "ix_audit_events_world", "audit_events", ["organization", "group", "seq"], CHANGES_WORLD
    yield "ix_audit_events_rekeyed", "audit_events", ["seq"], REKEYED
    yield "ix_outbox_due_at", "outbox", ["due_at"], None
    for name, first, what, order, where in (
        ("ix_rotations", ["organization"], "state", ["requested_at", "id"], None),
        ("ix_audit_events", [], "action", ["at", "seq"], None),
        ("ix_audit_events_no_rotation", ["organization"], "action", ["at", "seq"], NO_ROTATION),
    ):
        table = "rotations" if name == "ix_rotations" else "audit_events"
        for choice in (choice for size in range(4) for choice in combinations(("group", "user_id", what), size)):
            yield "_".join((name, *(choice or ("all",)))), table, [*first, *choice, *order], where


def _assume_few_values() -> None:
    """Make PostgreSQL assume ten groups, people, states and actions, however many it counts.

    If it has counted one group, it expects an index without groups to find the rows of any group as fast.
    """
    for table, what in (("rotations", "state"), ("audit_events", "action")):
        for column in ("group", "user_id", what):
            op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET (n_distinct = 10)')


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _guard_postgresql() -> None:
    differs = "DISTINCT FROM"
    _function("take_turn(OUT seq bigint, OUT hash text, OUT now timestamptz, OUT rekeyed text)", TAKE_TURN)
    _function("append() RETURNS trigger", APPEND)
    conditions = {
        "refuse": "true",
        "keep_grant": _regranted(differs),
        "open": _no_request(differs),
        "keep_request": _changed(REQUESTED, differs),
        "move": _no_move(differs, "clock_timestamp() + interval '1 hour'", "OLD.started_at + interval '1 hour'"),
    }
    for name, condition in conditions.items():
        _function(f"{name}() RETURNS trigger", REFUSE_IF.format(condition=condition))
    _trigger("audit_events_in_turn", "INSERT ON audit_events", "append", IN_TURN)
    _trigger("audit_events_no_update", "UPDATE ON audit_events", "refuse", APPEND_ONLY)
    _trigger("allowlist_revoked_once", "UPDATE ON allowlist", "keep_grant", GRANTS_STAY)
    _trigger("rotations_begin", "INSERT ON rotations", "open", FORWARD)
    _trigger("rotations_same_request", "UPDATE ON rotations", "keep_request", REQUESTS_STAY)
    _trigger("rotations_move_forward", "UPDATE ON rotations", "move", FORWARD)
    for table, why in (("audit_events", APPEND_ONLY), ("allowlist", GRANTS_STAY), ("rotations", REQUESTS_STAY)):
        _trigger(f"{table}_no_delete", f"DELETE ON {table}", "refuse", why)
        _trigger(f"{table}_no_truncate", f"TRUNCATE ON {table}", "refuse", why, each="STATEMENT")


def _function(head: str, body: str) -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar()
    op.execute(FUNCTION.format(head=head, schema=schema, body=body))


def _trigger(name: str, when: str, function: str, why: str, *, each: str = "ROW") -> None:
    call = f"FOR EACH {each} EXECUTE FUNCTION turso_rotate_{function}('{why}')"
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} {call}")
    # Always: a session that acts as a replica (session_replication_role) is refused too.
    op.execute(f"ALTER TABLE {when.rsplit(maxsplit=1)[-1]} ENABLE ALWAYS TRIGGER {name}")


def _guard_sqlite() -> None:
    differs, hour_from = "NOT", "strftime('%Y-%m-%dT%H:%M:%f000Z', {}, '+1 hour')"
    no_move = _no_move(differs, hour_from.format("'now'"), hour_from.format("OLD.started_at"))
    _abort("audit_events_no_update", "UPDATE ON audit_events", APPEND_ONLY)
    _abort("allowlist_revoked_once", f"UPDATE ON allowlist WHEN {_regranted(differs)}", GRANTS_STAY)
    _abort("rotations_begin", f"INSERT ON rotations WHEN {_no_request(differs)}", FORWARD)
    changed = _changed(f"rowid, {REQUESTED}", differs)
    _abort("rotations_same_request", f"UPDATE ON rotations WHEN {changed}", REQUESTS_STAY)
    _abort("rotations_move_forward", f"UPDATE ON rotations WHEN {no_move}", FORWARD)
    for table, why in (("audit_events", APPEND_ONLY), ("allowlist", GRANTS_STAY), ("rotations", REQUESTS_STAY)):
        _abort(f"{table}_no_delete", f"DELETE ON {table}", why)
    _guard_sqlite_from_replacing()


def _guard_sqlite_from_replacing() -> None:
    """Refuse inserts for which OR REPLACE would delete a row, since that fires no DELETE trigger."""
    numbered = "(SELECT coalesce(max(seq), 0) + 1 FROM audit_events)"
    linked = "coalesce((SELECT hash FROM audit_events ORDER BY seq DESC LIMIT 1), printf('%064d', 0))"
    out_of_turn = f"NEW.seq IS NOT {numbered} OR NEW.prev_hash IS NOT {linked}"
    delivered = "EXISTS (SELECT 1 FROM audit_events WHERE delivery = NEW.delivery)"
    same = "EXISTS (SELECT 1 FROM rotations WHERE id = NEW.id OR rowid = NEW.rowid)"
    granted = "EXISTS (SELECT 1 FROM allowlist WHERE id = NEW.id)"
    running = (
        "NEW.state = 'rotating' AND EXISTS (SELECT 1 FROM rotations WHERE state = 'rotating' AND id <> NEW.id "
        'AND organization = NEW.organization AND "group" = NEW."group")'
    )
    _abort("audit_events_in_turn", f"INSERT ON audit_events WHEN {out_of_turn}", IN_TURN)
    _abort("audit_events_new_delivery", f"INSERT ON audit_events WHEN {delivered}", f"{APPEND_ONLY}: known delivery")
    _abort("allowlist_new_id", f"INSERT ON allowlist WHEN {granted}", GRANTS_STAY)
    _abort("rotations_new_id", f"INSERT ON rotations WHEN {same}", REQUESTS_STAY)
    _abort("rotations_not_moved_busy", f"UPDATE ON rotations WHEN {running}", BUSY)


def _abort(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")


def _regranted(differs: str) -> str:
    return f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR {_changed(GRANTED, differs)}"


def _no_request(differs: str) -> str:
    undecided = "NEW.state, NEW.detail, NEW.started_at, NEW.lease_until, NEW.ended_at, NEW.claim, NEW.resolved_as"
    return f"({undecided}) IS {differs} ('requested', '{{}}', NULL, NULL, NULL, NULL, NULL)"


def _no_move(differs: str, hour_from_now: str, hour_from_start: str) -> str:
    """Return the condition for what is no legal move, no lease renewed within limits, and no unknown outcome judged."""
    return (
        f"CASE WHEN OLD.state = 'requested' AND NEW.state = 'rotating' THEN NEW.lease_until > {hour_from_now} "
        f"WHEN {_changed('started_at, claim', differs)} THEN true "
        f"WHEN OLD.state <> NEW.state THEN (OLD.state, NEW.state) NOT IN (VALUES {MOVES}) "
        f"ELSE {_changed('ended_at', differs)} "
        f"OR (NEW.state <> 'rotating' AND {_changed('lease_until', differs)}) "
        f"OR (NEW.state <> 'unknown' AND {_changed('resolved_as, detail', differs)}) "
        f"OR NEW.lease_until > {hour_from_start} END"
    )


def _changed(columns: str, differs: str) -> str:
    old, new = (", ".join(f"{row}.{name}" for name in columns.split(", ")) for row in ("OLD", "NEW"))
    return f"({new}) IS {differs} ({old})"
