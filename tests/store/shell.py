"""Somebody with a database shell: plain connections, without the pragmas and the care of the bot."""

from sqlalchemy import URL, Connection, create_engine, text

from bot.store.database import Database


def run(url: URL, *statements: str) -> None:
    """Run statements in one transaction."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


async def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    """Read rows as the driver gives them."""

    def work(connection: Connection) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.execute(text(query))]

    return await database.read(work)


async def trail_of(database: Database) -> list[str]:
    """Read the actions in the whole audit trail, in their order."""
    return [str(action) for (action,) in await rows(database, "SELECT action FROM audit_events ORDER BY seq")]
