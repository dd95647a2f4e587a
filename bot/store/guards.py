"""The guards of history: triggers and unique indexes, and whether they are as the migrations made them."""

from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Connection, text

from bot.domain.errors import Unguarded

GUARDS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "allowlist_no_delete": "3e95d90c17024a32",
        "allowlist_no_truncate": "897f45bb61d4dcf7",
        "allowlist_revoked_once": "7e87660cd64787e8",
        "audit_events_in_turn": "87e843f24325422f",
        "audit_events_no_delete": "59af22a9a34624ac",
        "audit_events_no_truncate": "2175774eaba82c52",
        "audit_events_no_update": "791ba06e7614e798",
        "pk_allowlist": "958e9908d23f6edb",
        "pk_audit_events": "9c2936f83f088181",
        "pk_rotations": "5024a6564f26eee2",
        "rotations_begin": "3ef90b6dc90afb87",
        "rotations_move_forward": "97d08244c6f7766e",
        "rotations_no_delete": "3212ffcd3b2ef43b",
        "rotations_no_truncate": "9205fd6ef7b7f89c",
        "rotations_same_request": "4ccc1835a7b619b5",
        "uq_audit_events_delivery": "135b53ceaa25a1bd",
        "uq_rotations_rotating": "143ce8dd048f2e41",
    },
    "sqlite": {
        "allowlist_new_id": "ec439adf27ba16ba",
        "allowlist_no_delete": "e0cc8595cffff4a8",
        "allowlist_revoked_once": "bcee48c2d531b12a",
        "audit_events_in_turn": "c296af05e6d61440",
        "audit_events_new_delivery": "fa0094b7a768ff18",
        "audit_events_no_delete": "9a386ec36b751bac",
        "audit_events_no_update": "557030faa6495fa7",
        "rotations_begin": "2691a5446e43a13b",
        "rotations_move_forward": "490289827f814c0c",
        "rotations_new_id": "dfab77e20ebd994b",
        "rotations_no_delete": "e916c9a1d42c2fdf",
        "rotations_not_moved_busy": "83f706f4e49a1dd4",
        "rotations_same_request": "28c911f674adff6d",
        "uq_rotations_rotating": "5f8c35d1ad170306",
    },
}
"""The guards of the tables that hold history, for each kind of database.

A guard with the right name may do nothing, so each has the start of a SHA-256 of its definition. A test compares them
with the migrations and prints the right ones.
"""

_SELECT = {
    "postgresql": text(
        # All that says what a trigger does. Its function is compared by its text, and no trigger has a condition:
        # each version of PostgreSQL may write them differently.
        "WITH history AS (SELECT oid, relname, relrowsecurity FROM pg_class WHERE oid IN "
        "(to_regclass('audit_events'), to_regclass('allowlist'), to_regclass('rotations'))) "
        "SELECT tgname, concat_ws('|', relname, tgtype, tgenabled, tgattr, encode(tgargs, 'hex'), tgdeferrable, "
        "tgconstraint, tgqual IS NULL, proname, prosecdef, proconfig, lanname, prosrc) FROM pg_trigger "
        "JOIN history ON history.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid "
        "JOIN pg_language ON pg_language.oid = prolang WHERE NOT tgisinternal "
        "UNION ALL SELECT own.relname, concat_ws('|', history.relname, indisvalid, indimmediate, indkey, "
        "pg_get_expr(indpred, indrelid)) FROM pg_index JOIN history ON history.oid = indrelid "
        "JOIN pg_class AS own ON own.oid = indexrelid WHERE indisunique "
        "UNION ALL SELECT rulename, 'rule' FROM pg_rewrite JOIN history ON history.oid = ev_class "
        "UNION ALL SELECT relname, 'row security' FROM history WHERE relrowsecurity"
    ),
    "sqlite": text(
        "SELECT name, tbl_name || '|' || sql FROM sqlite_master WHERE tbl_name IN "
        "('audit_events', 'allowlist', 'rotations') AND (type = 'trigger' OR sql LIKE 'CREATE UNIQUE INDEX%')"
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
    rows = connection.execute(_SELECT[connection.dialect.name])
    return {name: sha256(definition.encode()).hexdigest()[:16] for name, definition in rows}
