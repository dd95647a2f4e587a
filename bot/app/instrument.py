"""Decorators around ports that log, count and trace what goes through them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from bot.domain.errors import DatabaseError
from bot.domain.events import Event
from bot.domain.lease import Lease
from bot.domain.models import GroupInfo, GroupName, Outcome, Rotation, RotationId, Target
from bot.domain.ports import Interrupted, NewClaim, NewRotation, Opened, RotationStore, Superseded, Turso
from bot.domain.readable import Readable
from bot.domain.refusals import Refusal
from bot.domain.states import State
from bot.ops.metrics import Metrics
from bot.ops.tracing import Tracing
from bot.store.database import Database, Transaction

T = TypeVar("T")

_ID_LENGTH = 13
_ENDED = {
    State.CANCELLED: "request cancelled",
    State.EXPIRED: "request expired",
    State.SUPERSEDED: "request superseded",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where numbers and spans go."""

    metrics: Metrics
    tracing: Tracing

    def bind(self, rotation_id: str) -> None:
        """Add the rotation to later log lines of this context, and to its open span."""
        structlog.contextvars.bind_contextvars(rotation=rotation_id)
        self.tracing.note(rotation=rotation_id)

    def refused(self, refusal: Refusal, failure: DatabaseError | None = None) -> None:
        """Log and count a command or press that changed nothing; if the database failed, with what it said."""
        self.metrics.refused(refusal)
        if failure is None:
            log.info("refused", reason=str(refusal))
        else:
            log.warning("refused", reason=str(refusal), **failure.facts)


class ObservedRotationStore:
    """A `RotationStore` whose changes are logged and counted once they are committed."""

    def __init__(self, store: RotationStore, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._unrecorded: dict[RotationId, str] = {}
        """Why each rotation could not be recorded, as it was logged."""

    async def open(self, new: NewRotation) -> Opened:
        opened = await self._store.open(new)
        for older in opened.superseded:
            self._ended(older)
        self._opened(opened.rotation)
        return opened

    async def note(self, event: Event) -> None:
        await self._store.note(event)

    async def get(self, rotation_id: RotationId) -> Rotation | None:
        self._telemetry.bind(rotation_id[:_ID_LENGTH])
        return await self._store.get(rotation_id)

    async def is_outdated(self, rotation_id: RotationId) -> bool:
        return await self._store.is_outdated(rotation_id)

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        started = await self._store.claim(claim)
        if isinstance(started, Superseded):
            self._ended(started.old)
            self._opened(started.new.rotation)
        elif started is not None:
            log.info("rotation started", rotation=started.id, group=started.group)
        return started

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        try:
            rotation = await self._store.move(rotation_id, expected=expected, event=event, claim=claim)
        except DatabaseError as error:
            if self._unrecorded.get(rotation_id) != str(error):
                log.warning("not recorded yet", rotation=rotation_id, action=str(event.action), why=str(error))
            self._unrecorded[rotation_id] = str(error)
            raise
        self._unrecorded.pop(rotation_id, None)
        if rotation is not None:
            self._ended(rotation)
        return rotation

    async def overdue(self) -> Readable[Rotation]:
        return await self._store.overdue()

    def _opened(self, rotation: Rotation) -> None:
        self._telemetry.bind(rotation.id)
        self._telemetry.metrics.requested()
        log.info("request opened", group=rotation.group)

    def _ended(self, rotation: Rotation) -> None:
        self._telemetry.metrics.ended(rotation.state)
        ended = _ENDED.get(rotation.state, "rotation ended")
        log.info(ended, rotation=rotation.id, group=rotation.group, state=str(rotation.state))


class ObservedTurso:
    """A `Turso` whose calls are traced; the one call that counts is logged too."""

    def __init__(self, turso: Turso, telemetry: Telemetry) -> None:
        self._turso = turso
        self._tracing = telemetry.tracing

    def has_token(self, group: GroupName) -> bool:
        return self._turso.has_token(group)

    async def groups(self) -> tuple[GroupName, ...] | None:
        return await self._turso.groups()

    async def group_of(self, database: str) -> GroupName | None:
        return await self._turso.group_of(database)

    async def group_info(self, group: GroupName) -> GroupInfo:
        with self._tracing.span("turso.group_info"):
            return await self._turso.group_info(group)

    async def rotate(self, target: Target, lease: Lease) -> Outcome:
        log.info("calling Turso", group=target.name)
        with self._tracing.span("turso.rotate"):
            try:
                outcome = await self._turso.rotate(target, lease)
            except Interrupted as interrupted:
                self._ended(interrupted.outcome)
                raise
            self._ended(outcome)
        return outcome

    def _ended(self, outcome: Outcome) -> None:
        self._tracing.note(state=str(outcome.state), status=outcome.status or 0)
        log.info("call ended", state=str(outcome.state), status=outcome.status, seconds=round(outcome.seconds, 3))


class ObservedDatabase:
    """A `Database` whose transactions are traced and whose failures are counted."""

    def __init__(self, database: Database, telemetry: Telemetry) -> None:
        self._database = database
        self._telemetry = telemetry

    async def close(self) -> None:
        await self._database.close()

    async def read(self, transaction: Transaction[T]) -> T:
        with self._observed("database.read"):
            return await self._database.read(transaction)

    async def write(self, transaction: Transaction[T]) -> T:
        with self._observed("database.write"):
            return await self._database.write(transaction)

    async def check_writable(self) -> None:
        with self._observed("database.check"):
            await self._database.check_writable()

    @contextmanager
    def _observed(self, name: str) -> Iterator[None]:
        with self._telemetry.tracing.span(name):
            try:
                yield
            except DatabaseError as error:
                self._telemetry.metrics.database_failed(error)
                raise
