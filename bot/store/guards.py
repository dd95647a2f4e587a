"""The guards of history: triggers, constraints and the like, and whether they are as the migrations made them."""

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Connection, text

from bot.domain.errors import Unguarded

GUARDS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "allowlist": "093ab235c6f90f42",
        "allowlist_no_delete": "765ce0b5ff46608b",
        "allowlist_no_truncate": "45197d5dc511dad5",
        "allowlist_revoked_once": "d99315aa9d69069c",
        "audit_events": "093ab235c6f90f42",
        "audit_events_in_turn": "fe382735417e011f",
        "audit_events_no_delete": "f894d96b116c9a1e",
        "audit_events_no_truncate": "f698c01e69cfb768",
        "audit_events_no_update": "8aa4473690c4b8e2",
        "ck_allowlist_role": "98e2d6026ef1c7e4",
        "ck_audit_events_sealed": "09b78b0f4d876a97",
        "ck_rotations_lease": "8684d3ef8cb9d570",
        "ck_rotations_resolved_as": "4b1186b6a075f2b9",
        "ck_rotations_state": "feccae28ffa6ee70",
        "fk_outbox_rotation_id": "edb6dd2370f929c4",
        "outbox": "093ab235c6f90f42",
        "pk_allowlist": "c8f8b668d495e3cc",
        "pk_audit_events": "bd478d2496768a8c",
        "pk_outbox": "238da5093b10d45c",
        "pk_rotations": "7126ec7772dcf1d9",
        "rotations": "093ab235c6f90f42",
        "rotations_begin": "00b0906e03529b19",
        "rotations_move_forward": "e67d6b2db31221d0",
        "rotations_no_delete": "2e5de6b285485a81",
        "rotations_no_truncate": "ed6fe272e05f3968",
        "rotations_same_request": "289b54ed592c8aa8",
        "turso_rotate_append": "ea2f2632c298a5bc",
        "turso_rotate_keep_grant": "5e4aa58b1eece2fc",
        "turso_rotate_keep_request": "70562ffb7752a00a",
        "turso_rotate_move": "065e692dfe0ba5a9",
        "turso_rotate_open": "feaf93136d8b6031",
        "turso_rotate_refuse": "2bcb9511262afbd3",
        "turso_rotate_take_turn": "014feb1d247bf6bd",
        "uq_audit_events_delivery": "827cada2d81e77a0",
        "uq_rotations_rotating": "489d18b411a12860",
    },
    "sqlite": {
        "allowlist_new_id": "f857d3618ad44a8c",
        "allowlist_no_delete": "510f62b24ec2ed79",
        "allowlist_revoked_once": "e5faef8a679af4ab",
        "audit_events_in_turn": "2e77ccb4ce53569b",
        "audit_events_new_delivery": "f893f01254374bfe",
        "audit_events_no_delete": "aeafc09dc89d96c3",
        "audit_events_no_update": "1e7e29156d0bd31f",
        "rotations_begin": "eb4d8df5ce5cccfc",
        "rotations_move_forward": "0c21076c3423ad42",
        "rotations_new_id": "1715aea08871f97f",
        "rotations_no_delete": "bccac85aff0346ab",
        "rotations_not_moved_busy": "d0caf27e113b5978",
        "rotations_same_request": "0e923b166d9147ed",
        "uq_rotations_rotating": "9fe14b5e771b8798",
    },
}
"""The guards of the tables, for each kind of database.

A guard with the right name may do nothing, so each has the start of a SHA-256 of its definition. A test compares them
with the migrations and prints the right ones.
"""

GUARDS_FIX = "Find out who did that, run turso-rotate audit verify, and restore them as docs/doctor.md describes."
"""What to do about guards that are broken."""

_SELECT = {
    # Everything that decides what happens to a row. Functions are compared by their text, and no trigger has a
    # condition: each version of PostgreSQL may write those differently. `pg_catalog`, because PostgreSQL finds a
    # temporary table before its own.
    "postgresql": text(
        "WITH history AS (SELECT pg_class.*, nspname FROM pg_catalog.pg_class "
        "JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE pg_class.oid IN (to_regclass('audit_events'), to_regclass('allowlist'), to_regclass('rotations'), "
        "to_regclass('outbox'))), "
        "place AS (SELECT DISTINCT relnamespace, nspname FROM history) "
        "SELECT tgname AS name, concat_ws('|', 'trigger', relname, tgtype, tgenabled, tgattr, encode(tgargs, 'hex'), "
        "tgdeferrable, tgconstraint, tgqual IS NULL, proname, pronamespace = relnamespace) AS definition "
        "FROM pg_catalog.pg_trigger JOIN history ON history.oid = tgrelid "
        "JOIN pg_catalog.pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal "
        "UNION ALL SELECT proname, concat_ws('|', 'function', prosrc, prosecdef, provolatile, proisstrict, lanname, "
        "proconfig = ARRAY[format('search_path=%I, pg_temp', nspname)]) FROM pg_catalog.pg_proc "
        "JOIN place ON pronamespace = relnamespace JOIN pg_catalog.pg_language ON pg_language.oid = prolang "
        "WHERE proname IN ('turso_rotate_take_turn', 'turso_rotate_append', 'turso_rotate_refuse', "
        "'turso_rotate_keep_grant', 'turso_rotate_open', 'turso_rotate_keep_request', 'turso_rotate_move') "
        "UNION ALL SELECT own.relname, concat_ws('|', 'index', history.relname, indimmediate, indkey, "
        "pg_get_expr(indpred, indrelid)) FROM pg_catalog.pg_index JOIN history ON history.oid = indrelid "
        # An index that is being rebuilt is not valid yet, or no longer.
        "JOIN pg_catalog.pg_class AS own ON own.oid = indexrelid WHERE indisunique AND indisvalid "
        "UNION ALL SELECT conname, concat_ws('|', 'constraint', relname, pg_get_constraintdef(pg_constraint.oid)) "
        "FROM pg_catalog.pg_constraint JOIN history ON history.oid = conrelid WHERE contype NOT IN ('n', 't') "
        "UNION ALL SELECT rulename, 'rule' FROM pg_catalog.pg_rewrite JOIN history ON history.oid = ev_class "
        "UNION ALL SELECT inhrelid::regclass::text, 'child' FROM pg_catalog.pg_inherits "
        "JOIN history ON history.oid IN (inhparent, inhrelid) "
        "UNION ALL SELECT relname, concat_ws('|', 'table', relkind, relpersistence, relrowsecurity) FROM history"
    ),
    # Names of tables are kept as they were typed, in any case.
    "sqlite": text(
        "SELECT name, type || '|' || lower(tbl_name) || '|' || sql FROM sqlite_master "
        "WHERE lower(tbl_name) IN ('audit_events', 'allowlist', 'rotations', 'outbox') "
        "AND (type = 'trigger' OR sql LIKE 'CREATE UNIQUE INDEX%')"
    ),
}


def require_guards(connection: Connection) -> None:
    """Check that all guards are in place. Raises `Unguarded`."""
    if broken := broken_guards(connection):
        raise Unguarded(broken)


def broken_guards(connection: Connection) -> set[str]:
    """Return the names of the guards that are missing, disabled or changed, and of what was added."""
    needed, found = GUARDS[connection.dialect.name], guard_digests(connection)
    return {name for name in needed.keys() | found.keys() if found.get(name) != needed.get(name)}


def guard_digests(connection: Connection) -> dict[str, str]:
    """Return the guards, each with the start of a SHA-256 of its definition."""
    found: dict[str, list[str]] = {}
    for name, definition in connection.execute(_SELECT[connection.dialect.name]):
        found.setdefault(name, []).append(definition)  # a trigger may be named like an index
    return {name: sha256("\n".join(sorted(each)).encode()).hexdigest()[:16] for name, each in found.items()}
