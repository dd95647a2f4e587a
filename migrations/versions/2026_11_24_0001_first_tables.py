"""First tables, with the triggers that keep history as it was written."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")

GRANTED = "id, team_id, user_id, pattern, until, note, granted_at, granted_by_team, granted_by_user"
ASKED = 'id, organization, "group", team_id, user_id, channel_id, reason'

APPEND_ONLY = "audit_events is append-only"
STAYS = "a line of the allowlist stays as it was granted, and is revoked once"
KEPT = "rotations are kept, with what was asked as it was asked"
BUSY = "another rotation of the group is under way"


def upgrade() -> None:
    _create_allowlist()
    _create_rotations()
    _create_audit_events()
    _create_outbox()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    # Triggers go with their tables.
    for table in ("outbox", "audit_events", "rotations", "allowlist"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION turso_rotate_refuse()")


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
        sa.PrimaryKeyConstraint("id", name="pk_allowlist"),
    )
    op.create_index("ix_allowlist_team_id_user_id", "allowlist", ["team_id", "user_id"])


def _create_rotations() -> None:
    states = "'requested', 'rotating', 'succeeded', 'failed', 'unknown', 'cancelled', 'expired'"
    op.create_table(
        "rotations",
        *_texts("id", "organization", "group", "team_id", "user_id", "channel_id", "reason", "state"),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        *(sa.Column(name, MOMENT) for name in ("started_at", "lease_until", "ended_at")),
        *_texts("claim", nullable=True),
        *_texts("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_rotations"),
        sa.CheckConstraint(f"state IN ({states})", name=op.f("ck_rotations_state")),
        sa.CheckConstraint("(state = 'rotating') <= (lease_until IS NOT NULL)", name=op.f("ck_rotations_lease")),
    )
    columns = ["organization", "group"]
    _index_where("uq_rotations_rotating", columns, "state = 'rotating'", unique=True)
    _index_where("ix_rotations_open", ["organization", "state"], "state IN ('requested', 'rotating')")
    op.create_index("ix_rotations_organization_group_started_at", "rotations", [*columns, "started_at"])


def _create_audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", KEY, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        *_texts("action", "team_id", "user_id", "organization"),
        *_texts("group", "rotation_id", nullable=True),
        *_texts("detail"),
        *_texts("delivery", nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_events"),
        sa.UniqueConstraint("delivery", name="uq_audit_events_delivery"),
    )
    for columns in (["at"], ["group", "at"], ["user_id", "at"], ["action", "at"], ["rotation_id"]):
        name = "_".join(("ix_audit_events", *columns, "seq"))
        op.create_index(name, "audit_events", [*columns, "seq"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", KEY, nullable=False),
        *_texts("rotation_id", "errand"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["rotation_id"], ["rotations.id"], name="fk_outbox_rotation_id"),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _index_where(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(name, "rotations", columns, unique=unique, sqlite_where=only, postgresql_where=only)


def _guard_postgresql() -> None:
    # The code marks a broken constraint, as SQLite's RAISE does, so that drivers tell it from an outage.
    op.execute(
        "CREATE FUNCTION turso_rotate_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation'; END$$"
    )
    _refuse("audit_events_no_update", "UPDATE ON audit_events FOR EACH ROW", APPEND_ONLY)
    _refuse("allowlist_revoked_once", f"UPDATE ON allowlist FOR EACH ROW WHEN ({_regranted('DISTINCT FROM')})", STAYS)
    _refuse(
        "rotations_same_request", f"UPDATE ON rotations FOR EACH ROW WHEN ({_changed(ASKED, 'DISTINCT FROM')})", KEPT
    )
    for table, why in (("audit_events", APPEND_ONLY), ("allowlist", STAYS), ("rotations", KEPT)):
        _refuse(f"{table}_no_delete", f"DELETE ON {table} FOR EACH ROW", why)
        _refuse(f"{table}_no_truncate", f"TRUNCATE ON {table} FOR EACH STATEMENT", why)


def _refuse(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} EXECUTE FUNCTION turso_rotate_refuse('{why}')")
    # Always: a session that plays the replica (session_replication_role) is refused too.
    table = when.split()[2]
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _guard_sqlite() -> None:
    _abort("audit_events_no_update", "UPDATE ON audit_events", APPEND_ONLY)
    _abort("allowlist_revoked_once", f"UPDATE ON allowlist WHEN {_regranted('NOT')}", STAYS)
    _abort("rotations_same_request", f"UPDATE ON rotations WHEN {_changed(f'rowid, {ASKED}', 'NOT')}", KEPT)
    for table, why in (("audit_events", APPEND_ONLY), ("allowlist", STAYS), ("rotations", KEPT)):
        _abort(f"{table}_no_delete", f"DELETE ON {table}", why)
    _guard_sqlite_from_replacing()


def _guard_sqlite_from_replacing() -> None:
    """Refuse what would make OR REPLACE delete a row, since that fires no DELETE trigger."""
    numbered = "(SELECT coalesce(max(seq), 0) + 1 FROM audit_events)"
    delivered = "EXISTS (SELECT 1 FROM audit_events WHERE delivery = NEW.delivery)"
    same = "EXISTS (SELECT 1 FROM rotations WHERE id = NEW.id OR rowid = NEW.rowid)"
    running = (
        "NEW.state = 'rotating' AND EXISTS (SELECT 1 FROM rotations WHERE state = 'rotating' AND id <> NEW.id "
        'AND organization = NEW.organization AND "group" = NEW."group")'
    )
    _abort("audit_events_in_turn", f"INSERT ON audit_events WHEN NEW.seq IS NOT {numbered}", APPEND_ONLY)
    _abort("audit_events_new_delivery", f"INSERT ON audit_events WHEN {delivered}", f"{APPEND_ONLY}: known delivery")
    _abort("allowlist_new_id", "INSERT ON allowlist WHEN EXISTS (SELECT 1 FROM allowlist WHERE id = NEW.id)", STAYS)
    _abort("rotations_new_id", f"INSERT ON rotations WHEN {same}", KEPT)
    _abort("rotations_not_opened_busy", f"INSERT ON rotations WHEN {running}", BUSY)
    _abort("rotations_not_moved_busy", f"UPDATE ON rotations WHEN {running}", BUSY)


def _abort(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")


def _regranted(differs: str) -> str:
    return f"OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR {_changed(GRANTED, differs)}"


def _changed(columns: str, differs: str) -> str:
    old, new = (", ".join(f"{row}.{name}" for name in columns.split(", ")) for row in ("OLD", "NEW"))
    return f"({new}) IS {differs} ({old})"
