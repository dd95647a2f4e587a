"""Change the key of the audit trail, on purpose and on record."""

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from bot.domain.errors import BotError, DatabaseReadOnly, UsageError
from bot.domain.events import Event, TrailHead
from bot.domain.states import State
from bot.store.database import Database
from bot.store.driver_errors import lacks_right
from bot.store.inspection import keys_on_record, newest_change_of_key, newest_rows
from bot.store.key_check import check_key, newest_sealed
from bot.store.tables import rotations
from bot.store.trail import HEAD, record
from bot.trail.chain import Seal

_NOT_OWNER = (
    "The database refused to change the key. On PostgreSQL only the owner of the tables may: "
    "run this with the owner's DATABASE_URL."
)
_JUST_SET_IT = "Just set AUDIT_KEY to the new key, and start the bot."
_RUNNING = select(rotations.c.id, rotations.c.group).where(rotations.c.state == str(State.ROTATING)).limit(1)


async def require_key_in_force(database: Database, seal: Seal) -> None:
    """Check that the trail has a key that can be changed, and this is it. Raises `UsageError` and `SettingsError`."""
    await check_key(database, seal)
    newest = await newest_rows(database, 1)
    if not seal.keyed:
        raise UsageError(f"The audit trail has no key yet. {_JUST_SET_IT}")
    if not newest:
        raise UsageError(f"The audit trail is empty. {_JUST_SET_IT}")
    if await newest_change_of_key(database) is None and await newest_sealed(database, seal) is None:
        raise UsageError(f"No row of the audit trail has a key yet. {_JUST_SET_IT}")


async def change_key(database: Database, seal: Seal, event: Event) -> TrailHead:
    """Record the change as the last row under the old key, and return the new head; nobody writes with that key after.

    Raises `UsageError` if the trail had that key before: whoever it was changed for could write again. Raises
    `BotError` while a rotation is running, as its outcome could not be recorded; and if the database refuses.
    """

    def transaction(connection: Connection) -> TrailHead:
        if event.detail["fingerprint"] in keys_on_record(connection):
            raise UsageError("This key was the trail's before. Choose a new one: openssl rand -hex 32")
        record(connection, seal, event)  # first: what starts from here on waits for it, and is refused
        running = connection.execute(_RUNNING).first()
        if running is not None:
            raise BotError(
                f"Rotation {running.id} of {running.group} is running, and its outcome could not be recorded with the "
                "old key. Try again when it has ended: at the latest a minute after TURSO_TIMEOUT, if a bot runs."
            )
        head = connection.execute(HEAD).one()
        return TrailHead(head.seq, head.hash)

    try:
        return await database.write(transaction)
    except (DatabaseReadOnly, IntegrityError) as error:
        if isinstance(error, DatabaseReadOnly) and not lacks_right(error):
            raise
        raise BotError(_NOT_OWNER) from error
