"""Record in the trail that guards broke or were restored."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, select

from bot.domain.events import Action, Event
from bot.domain.models import SYSTEM, Organization
from bot.store.database import Database
from bot.store.guards import broken_guards
from bot.store.inspection import stored_row
from bot.store.outbox import enqueue_alarm
from bot.store.tables import audit_events
from bot.store.trail import record, take_turn
from bot.trail.chain import Seal

# The sum keeps PostgreSQL from reading the whole table backwards for the newest of a rare action.
_NEWEST = select(func.max(audit_events.c.seq + 0)).where(audit_events.c.action == bindparam("of_action"))


class SqlGuards:
    """The guards of one database, for one organization."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization

    async def broken(self) -> frozenset[str]:
        """Read what `bot.store.guards.broken_guards` says. Raises `DatabaseError`."""
        return frozenset(await self._database.read(broken_guards))

    async def note(self, broken: Collection[str]) -> None:
        """Record that guards are broken, and queue an alarm, or that they are restored.

        If the trail says so already, by this or another replica, change nothing. Raises `DatabaseError`.
        """
        action = Action.GUARDS_BROKEN if broken else Action.GUARDS_RESTORED
        names = sorted(broken)

        def transaction(connection: Connection) -> None:
            take_turn(connection)
            broke, restored = (
                self._newest(connection, each) for each in (Action.GUARDS_BROKEN, Action.GUARDS_RESTORED)
            )
            if (broke > restored) is bool(broken):
                return
            if broken:
                enqueue_alarm(connection, self._organization, ", ".join(names))
            record(connection, self._seal, Event(action, SYSTEM, self._organization, detail={"guards": names}))

        await self._database.write(transaction)

    def _newest(self, connection: Connection, action: Action) -> int:
        """Return the number of the newest event, or 0; one that was forged, to silence the alarm, does not count."""
        seq: int | None = connection.execute(_NEWEST, {"of_action": str(action)}).scalar()
        return seq if seq is not None and self._seal.matches(stored_row(connection, seq)) else 0
