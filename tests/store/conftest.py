"""A migrated database of each kind, and the stores over it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from bot.models import (
    Action,
    Actor,
    ChannelId,
    Event,
    Grant,
    GroupName,
    Organization,
    Rotation,
    RotationId,
    State,
    TeamId,
    UserId,
)
from bot.ports import Draft, NewGrant
from bot.store.allowlist import SqlGrants
from bot.store.audit import SqlTrail
from bot.store.database import Database, open_database
from bot.store.migrations import migrate
from bot.store.outbox import SqlOutbox
from bot.store.rotations import SqlRotations

ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
ACME = Organization("acme")
PAYMENTS = GroupName("payments")


@dataclass
class Store:
    """Everything that is kept in one database, with short ways to tell a story."""

    url: URL
    database: Database

    def __post_init__(self) -> None:
        self.grants = SqlGrants(self.database)
        self.rotations = SqlRotations(self.database, ACME)
        self.trail = SqlTrail(self.database)
        self.outbox = SqlOutbox(self.database)
        self._numbers = count(1)

    def draft(self, *, group: str = PAYMENTS, seconds: int = 300, delivery: str | None = None) -> Draft:
        rotation_id = RotationId(f"rotation{next(self._numbers)}")
        event = Event(Action.REQUESTED, ALICE, ACME, GroupName(group), rotation_id, delivery=delivery)
        return Draft(rotation_id, event, ChannelId("C0OPS"), "key leaked", seconds)

    async def granted(self, *, until: datetime | None = None) -> Grant:
        return await self.grants.add(NewGrant(ALICE, "*", until, ""), Event(Action.GRANTED, ALICE, ACME))

    async def requested(self, group: str = PAYMENTS, *, seconds: int = 300) -> Rotation:
        return await self.rotations.open(self.draft(group=group, seconds=seconds))

    async def claimed(
        self, rotation: Rotation, grant: Grant, *, claim: str = "mine", lease: float = 60
    ) -> Rotation | None:
        event = about(rotation, State.ROTATING)
        return await self.rotations.claim(rotation.id, grant=grant.id, claim=claim, lease=lease, event=event)

    async def moved(self, rotation: Rotation, to: State, *, claim: str | None = None) -> Rotation | None:
        return await self.rotations.move(
            rotation.id, expected=rotation.state, event=about(rotation, to), claim=claim
        )

    async def rotating(self, group: str = PAYMENTS, *, lease: float = 60) -> Rotation:
        rotation = await self.claimed(await self.requested(group), await self.granted(), lease=lease)
        assert rotation is not None
        return rotation

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        return await self.database.read(lambda connection: [tuple(row) for row in connection.execute(text(query))])

    async def actions(self) -> list[str]:
        return [str(action) for (action,) in await self.rows("SELECT action FROM audit_events ORDER BY seq")]

    def by_hand(self, *statements: str) -> None:
        """Run statements the way somebody with a database shell would: over a plain connection."""
        engine = create_engine(self.url)
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.exec_driver_sql(statement)
        finally:
            engine.dispose()


def about(rotation: Rotation, to: State) -> Event:
    """Say that a rotation moved."""
    return Event(Action.of(to), ALICE, ACME, rotation.group, rotation.id, {"explanation": "because"})


def nameless(event: Event) -> Event:
    """Break an event so that the database refuses it: an organization is a must."""
    return replace(event, organization=None)  # type: ignore[arg-type]


PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2200, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(database_url: str) -> URL:
    found = make_url(database_url)
    return found.set(drivername="postgresql+psycopg") if found.get_backend_name() == "postgresql" else found


@pytest.fixture
async def store(url: URL) -> AsyncIterator[Store]:
    migrate(url)
    database = open_database(url)
    yield Store(url, database)
    await database.close()
