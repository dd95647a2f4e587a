"""Somebody who owns the database: takes the guards of the trail away, does a deed, and puts them back."""

from collections.abc import Iterable

from sqlalchemy import URL, Connection, create_engine

from bot.trail.chain import Row

_TRIGGERS = {
    "sqlite": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname, tgrelid::regclass, '' FROM pg_trigger WHERE NOT tgisinternal",
}


def attack(url: URL, *statements: str) -> None:
    """Run statements in one transaction, unguarded."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            triggers = connection.exec_driver_sql(_TRIGGERS[connection.dialect.name]).all()
            for name, table, _ in triggers:
                connection.exec_driver_sql(_taken_away(connection, name, table))
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
            for name, table, definition in triggers:
                connection.exec_driver_sql(definition or f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
    finally:
        engine.dispose()


def _taken_away(connection: Connection, name: str, table: str) -> str:
    if connection.dialect.name == "sqlite":
        return f"DROP TRIGGER {name}"
    return f"ALTER TABLE {table} DISABLE TRIGGER {name}"


def rewrite(rows: Iterable[Row]) -> list[str]:
    """Give the statements that make rows what these are, hashes included."""
    return [
        f"UPDATE audit_events SET user_id = '{row.user_id}', prev_hash = '{row.prev_hash}', hash = '{row.hash}' "  # noqa: S608 - the attacker's
        f"WHERE seq = {row.seq}"
        for row in rows
    ]
