"""A migrated database of each kind, and the stores over it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import count

import pytest
from sqlalchemy import URL

from bot.domain.events import RECORDED_AS, Action, Event
from bot.domain.grants import NewGrant
from bot.domain.models import Actor, ChannelId, GrantId, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.ports import NewRotation
from bot.domain.states import State
from bot.store.allowlist import SqlGrants
from bot.store.database import Database, open_database
from bot.store.outbox import SqlOutbox
from bot.store.resolutions import SqlResolutions
from bot.store.rotations import SqlRotations
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from tests.databases import load_url

ACME = Organization("acme")
ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
OPERATOR = Actor.on_terminal("root")


@dataclass
class Store:
    """All stores over one database, with shortcuts a story needs."""

    url: URL
    database: Database

    def __post_init__(self) -> None:
        self.rotations = SqlRotations(self.database, UNKEYED, ACME)
        self.resolutions = SqlResolutions(self.database, UNKEYED, ACME)
        self.grants = SqlGrants(self.database, UNKEYED)
        self.trail = SqlTrail(self.database, UNKEYED)
        self.outbox = SqlOutbox(self.database, UNKEYED, ACME)
        self._ids = (RotationId(f"rotation{number:04}") for number in count())

    async def grant(self, pattern: str = "*") -> GrantId:
        """Allow Alice."""
        event = Event(Action.GRANTED, OPERATOR, ACME)
        return (await self.grants.add(NewGrant(ALICE, pattern, None, ""), event)).id

    async def request(self, group: str = "payments", *, seconds: int = 300, delivery: str | None = None) -> Rotation:
        """Open a request of Alice's."""
        return (await self.open(group, seconds=seconds, delivery=delivery))[0]

    async def open(
        self, group: str = "payments", *, seconds: int = 300, delivery: str | None = None
    ) -> tuple[Rotation, Rotation | None]:
        """Open a request of Alice's; returns it with the group's last rotation."""
        rotation_id = next(self._ids)
        event = Event(Action.REQUESTED, ALICE, ACME, GroupName(group), rotation_id, delivery=delivery)
        return await self.rotations.open(NewRotation(rotation_id, event, ChannelId("C0INCIDENT"), "why", seconds))

    async def claim(
        self, rotation: Rotation, grant: GrantId, *, claim: str = "c1", lease: float = 30
    ) -> Rotation | None:
        """Claim a rotation."""
        event = event_about(rotation, Action.STARTED)
        return await self.rotations.claim(rotation.id, grant=grant, claim=claim, lease=lease, event=event)

    async def move(self, rotation: Rotation, expected: State, to: State, claim: str | None = None) -> Rotation | None:
        """Move a rotation to an end."""
        event = event_about(rotation, RECORDED_AS[to])
        return await self.rotations.move(rotation.id, expected=expected, event=event, claim=claim)

    async def actions(self, rotation: Rotation) -> list[str]:
        """Read the story of a rotation."""
        return [str(recorded.event.action) for recorded in await self.trail.story(rotation.id)]


def event_about(rotation: Rotation, action: Action, detail: Mapping[str, object] | None = None) -> Event:
    """Describe something Alice did to a rotation."""
    return Event(action, ALICE, ACME, rotation.group, rotation.id, detail or {})


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    url = load_url(database_url)
    database = open_database(url)
    yield Store(url, database)
    await database.close()
