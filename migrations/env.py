"""Run the migrations over the connection that `bot.store.migrations` hands in, within its transaction."""

from alembic import context

from bot.store.tables import metadata

# The transaction is the caller's: both databases take back half a migration, though Alembic expects it of one.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
)
context.run_migrations()
