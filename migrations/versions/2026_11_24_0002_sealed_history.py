"""Seal the audit trail as a chain of hashes, give grants a role, let people judge an unknown, index the history."""

from collections.abc import Iterator
from itertools import combinations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bot.trail.chain import GENESIS, UNKEYED, Row, Seal

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
BATCH = 2000

EVENT = 'seq, at, action, team_id, user_id, organization, "group", rotation_id, detail, delivery'
GRANT = (
    "id, team_id, user_id, pattern, until, note, granted_at, granted_by_team, granted_by_user, "
    "revoked_at, revoked_by_team, revoked_by_user"
)
GRANTED = "id, team_id, user_id, pattern, until, note, granted_at, granted_by_team, granted_by_user"
APPEND_ONLY = "audit_events is append-only"
STAYS = "a line of the allowlist stays as it was granted, and is revoked once"
REFUSED = "CASE WHEN rotation_id IS NULL THEN action IN ('rotation.denied', 'rotation.rejected') ELSE false END"
UNRESOLVED = "state = 'unknown' AND resolved_as IS NULL"
# "tursorot": the lock under which events are numbered. Volatile, so that what it reads was committed by then.
TAKE_TURN = """
CREATE FUNCTION turso_rotate_take_turn(OUT seq bigint, OUT hash text, OUT now timestamptz) LANGUAGE plpgsql VOLATILE AS
$$BEGIN
  PERFORM pg_advisory_xact_lock(8391739320791363444);
  SELECT last.seq, last.hash INTO seq, hash FROM audit_events AS last ORDER BY last.seq DESC LIMIT 1;
  now := clock_timestamp();
END$$
"""


def upgrade() -> None:
    _remake_allowlist(role=True)
    op.execute(
        "ALTER TABLE rotations ADD COLUMN resolved_as text "
        "CONSTRAINT ck_rotations_resolved_as CHECK (resolved_as IN ('succeeded', 'failed'))"
    )
    _index_open("requested_at")
    _remake_audit_events(sealed=True)
    for name, table, columns, where in _indexes():
        only = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
    if _postgresql():
        _suppose_values("SET (n_distinct = 10)")
        op.execute("ANALYZE rotations, audit_events")
        op.execute(TAKE_TURN)


def downgrade() -> None:
    if _postgresql():
        op.execute("DROP FUNCTION turso_rotate_take_turn()")
        _suppose_values("RESET (n_distinct)")
    for name, table, _, _ in _indexes():
        op.drop_index(name, table)
    _remake_audit_events(sealed=False)
    _index_open("organization", "state")
    op.drop_column("rotations", "resolved_as")
    _remake_allowlist(role=False)


def _postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _indexes() -> Iterator[tuple[str, str, list[str], str | None]]:
    for name, first, what, order, where in (
        ("ix_rotations", ["organization"], "state", ["requested_at", "id"], None),
        ("ix_audit_events", [], "action", ["at", "seq"], None),
        ("ix_audit_events_refused", ["organization"], "action", ["at", "seq"], REFUSED),
    ):
        table = "rotations" if name == "ix_rotations" else "audit_events"
        for choice in (choice for size in range(4) for choice in combinations(("group", "user_id", what), size)):
            yield "_".join((name, *(choice or ("all",)))), table, [*first, *choice, *order], where
    yield "ix_rotations_unresolved", "rotations", ["organization"], UNRESOLVED


def _suppose_values(option: str) -> None:
    """Have PostgreSQL suppose ten groups, people, states and actions, however many it counts.

    Where it has counted one group, it thinks that an index without groups finds the rows of any group as fast.
    """
    for table, what in (("rotations", "state"), ("audit_events", "action")):
        for column in ("group", "user_id", what):
            op.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" {option}')


def _index_open(*columns: str) -> None:
    """Index what is open by its age, so that no index over all rotations looks better to a planner."""
    only = sa.text("state IN ('requested', 'rotating')")
    op.drop_index("ix_rotations_open", "rotations")
    op.create_index("ix_rotations_open", "rotations", [*columns], sqlite_where=only, postgresql_where=only)


def _remake_allowlist(*, role: bool) -> None:
    """Make the table anew: SQLite cannot add a column that must be filled and has no default."""
    op.drop_index("ix_allowlist_team_id_user_id", "allowlist")
    _rename("allowlist")
    columns = [
        sa.Column("id", KEY, nullable=False),
        *_texts("team_id", "user_id", "pattern"),
        sa.Column("until", MOMENT),
        *_texts("note"),
        sa.Column("granted_at", MOMENT, nullable=False),
        *_texts("granted_by_team", "granted_by_user"),
        sa.Column("revoked_at", MOMENT),
        *_texts("revoked_by_team", "revoked_by_user", nullable=True),
    ]
    checks = [sa.CheckConstraint("role IN ('rotate', 'audit')", name=op.f("ck_allowlist_role"))] if role else []
    last = _texts("role") if role else []
    op.create_table("allowlist", *columns, *last, sa.PrimaryKeyConstraint("id", name="pk_allowlist"), *checks)
    # Without roles a grant to read would be a grant to rotate: it is left behind.
    new, old, which = (f"{GRANT}, role", f"{GRANT}, 'rotate'", "") if role else (GRANT, GRANT, " WHERE role = 'rotate'")
    op.execute(f"INSERT INTO allowlist ({new}) SELECT {old} FROM old_allowlist{which}")  # noqa: S608 - names above
    op.drop_table("old_allowlist")
    op.create_index("ix_allowlist_team_id_user_id", "allowlist", ["team_id", "user_id"])
    if _postgresql():
        last = "SELECT max(id) FROM allowlist HAVING max(id) IS NOT NULL"
        op.execute(f"SELECT setval(pg_get_serial_sequence('allowlist', 'id'), ({last}))")
    _guard_allowlist(f"{GRANTED}, role" if role else GRANTED)


def _remake_audit_events(*, sealed: bool) -> None:
    _drop_audit_indexes(sealed=sealed)
    _rename("audit_events", "uq_audit_events_delivery")
    hashes = _texts("prev_hash", "hash") if sealed else []
    lengths = "length(hash) = 64 AND length(prev_hash) = 64"
    checks = [sa.CheckConstraint(lengths, name=op.f("ck_audit_events_sealed"))] if sealed else []
    op.create_table(
        "audit_events",
        sa.Column("seq", KEY, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        *_texts("action", "team_id", "user_id", "organization"),
        *_texts("group", "rotation_id", nullable=True),
        *_texts("detail"),
        *_texts("delivery", nullable=True),
        *hashes,
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("delivery", name="uq_audit_events_delivery"),
        *checks,
    )
    if sealed:
        _seal_all()
    else:
        op.execute(f"INSERT INTO audit_events ({EVENT}) SELECT {EVENT} FROM old_audit_events ORDER BY seq")  # noqa: S608 - names above
    _refuse_loss()
    op.drop_table("old_audit_events")
    op.create_index("ix_audit_events_rotation_id_seq", "audit_events", ["rotation_id", "seq"])
    if not sealed:
        for columns in (["at"], ["group", "at"], ["user_id", "at"], ["action", "at"]):
            op.create_index("_".join(("ix_audit_events", *columns, "seq")), "audit_events", [*columns, "seq"])
    _guard_audit_events()


def _drop_audit_indexes(*, sealed: bool) -> None:
    op.drop_index("ix_audit_events_rotation_id_seq", "audit_events")
    if sealed:
        for columns in (["at"], ["group", "at"], ["user_id", "at"], ["action", "at"]):
            op.drop_index("_".join(("ix_audit_events", *columns, "seq")), "audit_events")


def _seal_all() -> None:
    """Copy the rows in their order, each with its hash and its predecessor's."""
    seal = op.get_context().config.attributes.get("seal", UNKEYED)
    connection = op.get_bind()
    at = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')" if _postgresql() else "at"
    names = EVENT.split(", ")
    read = sa.text(
        f"SELECT seq, {at}, {', '.join(names[2:])} FROM old_audit_events WHERE seq > :last ORDER BY seq LIMIT {BATCH}"  # noqa: S608 - names above
    )
    values = ", ".join(f":{name}" for name in Row._fields)
    write = sa.text(f"INSERT INTO audit_events ({EVENT}, prev_hash, hash) VALUES ({values})")  # noqa: S608 - names above
    last, head = 0, GENESIS
    while rows := connection.execute(read, {"last": last}).all():
        sealed = []
        for row in rows:
            sealed.append(_sealed(seal, Row(*row, prev_hash=head)))
            head = sealed[-1].hash
        connection.execute(write, [row._asdict() for row in sealed])
        last = sealed[-1].seq


def _sealed(seal: Seal, row: Row) -> Row:
    return row._replace(hash=seal.hash(row))


def _refuse_loss() -> None:
    counts = (f"(SELECT count(*) FROM {table})" for table in ("audit_events", "old_audit_events"))  # noqa: S608 - names above
    copied, stood = op.get_bind().execute(sa.text(f"SELECT {', '.join(counts)}")).one()
    if copied != stood:
        raise RuntimeError(f"{stood} events stand, {copied} were copied")


def _rename(table: str, *more: str) -> None:
    """Put a table aside, and free the names that PostgreSQL keeps for the whole schema."""
    if _postgresql():
        for constraint in (f"pk_{table}", *more):
            op.drop_constraint(constraint, table)
    op.rename_table(table, f"old_{table}")
    if _postgresql() and table == "allowlist":
        op.execute("ALTER SEQUENCE allowlist_id_seq RENAME TO old_allowlist_id_seq")


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _guard_audit_events() -> None:
    if _postgresql():
        _refuse("audit_events_no_update", "UPDATE ON audit_events FOR EACH ROW", APPEND_ONLY)
        _refuse("audit_events_no_delete", "DELETE ON audit_events FOR EACH ROW", APPEND_ONLY)
        _refuse("audit_events_no_truncate", "TRUNCATE ON audit_events FOR EACH STATEMENT", APPEND_ONLY)
        return
    _abort("audit_events_no_update", "UPDATE ON audit_events", APPEND_ONLY)
    _abort("audit_events_no_delete", "DELETE ON audit_events", APPEND_ONLY)
    # Refuse what would make OR REPLACE delete a row, since that fires no DELETE trigger.
    numbered = "(SELECT coalesce(max(seq), 0) + 1 FROM audit_events)"
    delivered = "EXISTS (SELECT 1 FROM audit_events WHERE delivery = NEW.delivery)"
    _abort("audit_events_in_turn", f"INSERT ON audit_events WHEN NEW.seq IS NOT {numbered}", APPEND_ONLY)
    _abort("audit_events_new_delivery", f"INSERT ON audit_events WHEN {delivered}", f"{APPEND_ONLY}: known delivery")


def _guard_allowlist(granted: str) -> None:
    differs = "DISTINCT FROM" if _postgresql() else "NOT"
    old, new = (", ".join(f"{row}.{name}" for name in granted.split(", ")) for row in ("OLD", "NEW"))
    regranted = f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR ({new}) IS {differs} ({old})"
    if _postgresql():
        _refuse("allowlist_revoked_once", f"UPDATE ON allowlist FOR EACH ROW WHEN ({regranted})", STAYS)
        _refuse("allowlist_no_delete", "DELETE ON allowlist FOR EACH ROW", STAYS)
        _refuse("allowlist_no_truncate", "TRUNCATE ON allowlist FOR EACH STATEMENT", STAYS)
        return
    _abort("allowlist_revoked_once", f"UPDATE ON allowlist WHEN {regranted}", STAYS)
    _abort("allowlist_no_delete", "DELETE ON allowlist", STAYS)
    _abort("allowlist_new_id", "INSERT ON allowlist WHEN EXISTS (SELECT 1 FROM allowlist WHERE id = NEW.id)", STAYS)


def _refuse(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} EXECUTE FUNCTION turso_rotate_refuse('{why}')")
    # Always: a session that plays the replica (session_replication_role) is refused too.
    op.execute(f"ALTER TABLE {when.split()[2]} ENABLE ALWAYS TRIGGER {name}")


def _abort(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")
