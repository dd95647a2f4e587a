"""What the use cases do, made visible to operators: each step leaves a log line, a number or a span."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from bot.domain.errors import BotError, DatabaseError, Refusal
from bot.domain.history import HistoryStore, Home, Page, Story
from bot.domain.models import (
    Actor,
    Event,
    GrantId,
    GroupInfo,
    GroupName,
    Organization,
    Outcome,
    Request,
    Rotation,
    RotationId,
    SlackContext,
    State,
    TeamId,
)
from bot.domain.ports import GrantStore, NewRotation, RotationStore, Trail, Turso
from bot.domain.reading import Allowances, History
from bot.domain.rotations import Rotations
from bot.domain.steps import Claimed, ConfirmationPrompt, RotationConfig
from bot.ops.metrics import Metrics
from bot.ops.tracing import Tracing
from bot.store.database import Database

T = TypeVar("T")

_ID_LENGTH = 13
_SAID = {State.CANCELLED: "request cancelled", State.EXPIRED: "request expired"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where numbers and spans go."""

    metrics: Metrics
    tracing: Tracing

    def about(self, rotation_id: str) -> None:
        """Let what is logged from now on in this context, and the span that is open, name the rotation."""
        structlog.contextvars.bind_contextvars(rotation=rotation_id)
        self.tracing.note(rotation=rotation_id)

    def refused(self, refusal: Refusal) -> None:
        """Note that a command or a press changed nothing."""
        self.metrics.refused(refusal)
        log.info("refused", reason=str(refusal))

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Note what a use case refuses, or cannot do."""
        try:
            yield
        except BotError as error:
            self.refused(error.refusal)
            raise


class ObservedRotations(Rotations):
    """The use cases around a rotation, over ports that are observed too."""

    def __init__(  # noqa: PLR0913 - one argument for each port
        self,
        telemetry: Telemetry,
        rules: RotationConfig,
        *,
        grants: GrantStore,
        store: RotationStore,
        trail: Trail,
        turso: Turso,
        new_id: Callable[[], str],
    ) -> None:
        watched = _Store(store, telemetry), _Turso(turso, telemetry)
        super().__init__(rules, grants=grants, store=watched[0], trail=trail, turso=watched[1], new_id=new_id)
        self._telemetry = telemetry

    async def rotatable(self, actor: Actor) -> tuple[GroupName, ...] | None:
        """List the groups the actor may rotate."""
        with self._telemetry.refusals():
            return await super().rotatable(actor)

    async def request(self, actor: Actor, place: SlackContext, request: Request) -> ConfirmationPrompt:
        """Open a request that waits for its confirmation."""
        with self._telemetry.refusals():
            return await super().request(actor, place, request)

    async def reject(self, actor: Actor, place: SlackContext, typed: str, why: str) -> None:
        """Record a command that names no possible group."""
        self._telemetry.refused(Refusal.MALFORMED)
        await super().reject(actor, place, typed, why)

    async def confirm(self, actor: Actor, place: SlackContext, rotation_id: RotationId) -> Claimed:
        """Claim the rotation for this process."""
        self._telemetry.about(rotation_id[:_ID_LENGTH])
        with self._telemetry.refusals():
            return await super().confirm(actor, place, rotation_id)

    async def cancel(self, actor: Actor, place: SlackContext, rotation_id: RotationId) -> Rotation:
        """Withdraw a request."""
        self._telemetry.about(rotation_id[:_ID_LENGTH])
        with self._telemetry.refusals():
            return await super().cancel(actor, place, rotation_id)


class ObservedHistory(History):
    """The use cases around reading."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each port
        self,
        telemetry: Telemetry,
        team_id: TeamId,
        organization: Organization,
        grants: Allowances,
        store: HistoryStore,
        trail: Trail,
    ) -> None:
        super().__init__(team_id, organization, grants, store, trail)
        self._telemetry = telemetry

    async def page(self, *which: Any, **more: Any) -> Page:
        """Read a page of requests."""
        with self._telemetry.refusals():
            return await super().page(*which, **more)

    async def story(self, *which: Any, **more: Any) -> Story:
        """Read what became of one rotation."""
        with self._telemetry.refusals():
            return await super().story(*which, **more)

    async def home(self, *which: Any, **more: Any) -> Home:
        """Read all that the Home tab shows."""
        with self._telemetry.refusals():
            return await super().home(*which, **more)


class _Store:
    """A store of rotations whose changes are observed once they are on record."""

    def __init__(self, store: RotationStore, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self.get, self.overdue = store.get, store.overdue

    async def open(self, draft: NewRotation) -> tuple[Rotation, Rotation | None]:
        rotation, last = await self._store.open(draft)
        self._telemetry.about(rotation.id)
        self._telemetry.metrics.requested()
        log.info("request opened", group=rotation.group)
        return rotation, last

    async def claim(
        self, rotation_id: RotationId, *, grant: GrantId, claim: str, lease: float, event: Event
    ) -> Rotation | None:
        rotation = await self._store.claim(rotation_id, grant=grant, claim=claim, lease=lease, event=event)
        if rotation is not None:
            log.info("rotation started", rotation=rotation.id, group=rotation.group)
        return rotation

    async def move(
        self, rotation_id: RotationId, *, expected: State, event: Event, claim: str | None = None
    ) -> Rotation | None:
        try:
            rotation = await self._store.move(rotation_id, expected=expected, event=event, claim=claim)
        except DatabaseError as error:
            log.warning("not recorded yet", rotation=rotation_id, action=str(event.action), why=str(error))
            raise
        if rotation is not None:
            self._telemetry.metrics.ended(rotation.state)
            said = _SAID.get(rotation.state, "rotation ended")
            log.info(said, rotation=rotation.id, group=rotation.group, state=str(rotation.state))
        return rotation


class _Turso:
    """Turso's side, with the one call that counts observed."""

    def __init__(self, turso: Turso, telemetry: Telemetry) -> None:
        self._turso = turso
        self._tracing = telemetry.tracing
        self.has_token, self.groups = turso.has_token, turso.groups

    async def look(self, group: GroupName) -> GroupInfo:
        with self._tracing.span("turso.look"):
            return await self._turso.look(group)

    async def rotate(self, group: GroupName) -> Outcome:
        log.info("calling Turso", group=group)
        with self._tracing.span("turso.rotate"):
            outcome = await self._turso.rotate(group)
            self._tracing.note(state=str(outcome.state), status=outcome.status or 0)
        log.info("Turso answered", state=str(outcome.state), status=outcome.status, seconds=round(outcome.seconds, 3))
        return outcome


class ObservedDatabase:
    """A database whose transactions are spans and whose failures are counted."""

    def __init__(self, database: Database, telemetry: Telemetry) -> None:
        self._database = database
        self._telemetry = telemetry
        self.close = database.close

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that only reads."""
        with self._seen("database.read"):
            return await self._database.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run work in a transaction that commits before this returns."""
        with self._seen("database.write"):
            return await self._database.write(work)

    @contextmanager
    def _seen(self, name: str) -> Iterator[None]:
        with self._telemetry.tracing.span(name):
            try:
                yield
            except DatabaseError as error:
                self._telemetry.metrics.database_failed(error)
                raise
