"""The outbox in SQL: notifications written with the outcome and delivered by any replica, one at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from bot.domain.events import Event
from bot.domain.models import Organization, Rotation, RotationId
from bot.domain.notifications import Notification, NotificationKind
from bot.store.database import Database
from bot.store.rows import read, readable
from bot.store.sqltypes import database_later, database_now
from bot.store.tables import outbox
from bot.store.trail import record
from bot.trail.chain import Seal

HEAD_START_SECONDS = 10.0
"""How long a notification is left to the replica that wrote it before any replica takes it."""
OVERDUE_SECONDS = 24 * 60 * 60.0
"""The age from which on the next failed delivery of a notification is the last."""

_ENQUEUE = insert(outbox).values(created_at=database_now(), due_at=database_later("in_seconds"), attempts=0)
_waiting = outbox.alias("waiting")
_DUE = (
    select(_waiting.c.id)
    # The bot of another organization may share the database, and must not deliver these.
    .where(_waiting.c.due_at <= database_now(), _waiting.c.organization == bindparam("of_organization"))
    .order_by(_waiting.c.due_at)
    .limit(1)
)
_TAKEN = (
    update(outbox)
    .values(due_at=database_later("in_seconds"), attempts=outbox.c.attempts + 1)
    .returning(outbox, (outbox.c.created_at <= database_later("overdue_seconds")).label("overdue"))
)
_TAKE = _TAKEN.where(outbox.c.id == _DUE.with_for_update(skip_locked=True).scalar_subquery())
_TAKE_FOR = _TAKEN.where(
    outbox.c.rotation_id == bindparam("of_rotation"),
    # Taking one makes it due later; in its head start nobody has tried it.
    or_(outbox.c.attempts == 0, outbox.c.due_at <= database_now()),
)
_THIS = (outbox.c.id == bindparam("of_notification"), outbox.c.attempts == bindparam("of_attempt"))
_PUT_OFF = update(outbox).where(*_THIS).values(due_at=database_later("in_seconds"))
_GIVE_UP = delete(outbox).where(*_THIS)
_DISCARD = delete(outbox).where(outbox.c.rotation_id == bindparam("of_rotation"), outbox.c.kind == bindparam("of_kind"))
_LEFT = select(outbox.c.id).where(outbox.c.rotation_id == bindparam("of_rotation")).limit(1)
_DONE = delete(outbox).where(outbox.c.id == bindparam("of_notification"))


def enqueue(
    connection: Connection,
    rotation: Rotation,
    kinds: Iterable[NotificationKind],
    *,
    head_start: float = HEAD_START_SECONDS,
    replace: bool = False,
) -> None:
    """Add notifications in this transaction; for `head_start` seconds, only the caller's process delivers them.

    `replace` discards undelivered ones of the same kinds, which would announce an outdated state.
    """
    about = {"organization": rotation.organization, "rotation_id": rotation.id, "subject": None}
    for kind in kinds:
        if replace:
            connection.execute(_DISCARD, {"of_rotation": rotation.id, "of_kind": str(kind)})
        connection.execute(_ENQUEUE, {**about, "kind": str(kind), "in_seconds": head_start})


def enqueue_alarm(connection: Connection, organization: Organization, subject: str) -> None:
    """Add an alarm in this transaction, for whichever process comes first."""
    about = {"organization": organization, "rotation_id": None, "subject": subject}
    connection.execute(_ENQUEUE, {**about, "kind": str(NotificationKind.ALARM), "in_seconds": 0.0})


class SqlOutbox:
    """The outbox of one organization in one database."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self._database = database
        self._seal = seal
        self._organization = organization

    async def take_for(self, rotation_id: RotationId, seconds: float) -> Sequence[Notification]:
        """Take them in the order in which they were added; one that cannot be read is left to `take`."""
        chosen = {"of_rotation": rotation_id, "in_seconds": seconds, "overdue_seconds": -OVERDUE_SECONDS}

        def transaction(connection: Connection) -> Sequence[Notification]:
            return readable(connection.execute(_TAKE_FOR, chosen), _notification)

        return sorted(await self._database.write(transaction), key=lambda notification: notification.id)

    async def take(self, seconds: float) -> Notification | None:
        """Take one in a single statement, which skips those that another replica is taking."""
        chosen = {"of_organization": self._organization, "in_seconds": seconds, "overdue_seconds": -OVERDUE_SECONDS}
        row = await self._database.write(lambda connection: connection.execute(_TAKE, chosen).first())
        # Read after the commit: one that cannot be read is taken all the same, and so holds up no other.
        return None if row is None else _notification(row)

    async def any_left(self, rotation_id: RotationId) -> bool:
        """Return whether a notification about a rotation is not delivered yet."""
        chosen = {"of_rotation": rotation_id}
        return await self._database.read(lambda connection: connection.execute(_LEFT, chosen).first() is not None)

    async def any_due(self) -> bool:
        """Look for one with a read, which waits for no writer."""
        chosen = {"of_organization": self._organization}
        return await self._database.read(lambda connection: connection.execute(_DUE, chosen).first() is not None)

    async def put_off(self, notification: Notification, seconds: float) -> None:
        """Postpone this attempt; the number of attempts shows whether it was taken since."""
        chosen = {**_this(notification), "in_seconds": seconds}
        await self._database.write(lambda connection: connection.execute(_PUT_OFF, chosen).rowcount)

    async def done(self, notification: Notification) -> None:
        """Delete it, even if it was taken again since."""
        chosen = {"of_notification": notification.id}
        await self._database.write(lambda connection: connection.execute(_DONE, chosen).rowcount)

    async def give_up(self, notification: Notification, event: Event) -> bool:
        """Delete and record in one transaction."""

        def transaction(connection: Connection) -> bool:
            if not connection.execute(_GIVE_UP, _this(notification)).rowcount:
                return False
            record(connection, self._seal, event)
            return True

        return await self._database.write(transaction)


def _this(notification: Notification) -> dict[str, Any]:
    return {"of_notification": notification.id, "of_attempt": notification.attempts}


def _notification(row: Row[Any]) -> Notification:
    return read(
        row,
        outbox,
        lambda row: Notification(
            id=row.id,
            organization=Organization(row.organization),
            rotation_id=None if row.rotation_id is None else RotationId(row.rotation_id),
            kind=NotificationKind(row.kind),
            created_at=row.created_at,
            attempts=row.attempts,
            overdue=bool(row.overdue),
            subject=row.subject,
        ),
    )
