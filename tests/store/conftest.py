"""A migrated database of each kind, and the stores over it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from sqlalchemy import URL

from bot.domain.events import RECORDED_AS, Action, Event
from bot.domain.grants import NewGrant
from bot.domain.models import Actor, ChannelId, GrantId, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.ports import NewClaim, NewRotation, Opened, Superseded
from bot.domain.states import State
from bot.store.allowlist import SqlGrants
from bot.store.database import Database
from bot.store.outbox import SqlOutbox
from bot.store.resolutions import SqlResolutions
from bot.store.rotations import SqlRotations
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED

ACME = Organization("acme")
ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
BOB = Actor(TeamId("T012AB3CD"), UserId("U0B0B0002"))
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

    async def request(
        self, group: str = "payments", *, seconds: int = 300, delivery: str | None = None, by: Actor = ALICE
    ) -> Rotation:
        """Open a request."""
        return (await self.open(group, seconds=seconds, delivery=delivery, by=by)).rotation

    async def open(
        self, group: str = "payments", *, seconds: int = 300, delivery: str | None = None, by: Actor = ALICE
    ) -> Opened:
        """Open a request, and read what its card would say."""
        return await self.rotations.open(self.new(group, seconds=seconds, delivery=delivery, by=by))

    def new(
        self, group: str = "payments", *, seconds: int = 300, delivery: str | None = None, by: Actor = ALICE
    ) -> NewRotation:
        """Describe a request with a fresh id."""
        rotation_id = next(self._ids)
        event = Event(Action.REQUESTED, by, ACME, GroupName(group), rotation_id, delivery=delivery)
        return NewRotation(rotation_id, event, ChannelId("C0INCIDENT"), "why", seconds)

    async def claim(
        self, rotation: Rotation, grant: GrantId | None, *, claim: str = "c1", lease: float = 30
    ) -> Rotation | None:
        """Claim a rotation whose world is not gone."""
        claimed = await self.try_claim(rotation, grant, claim=claim, lease=lease)
        assert not isinstance(claimed, Superseded)
        return claimed

    async def try_claim(
        self,
        rotation: Rotation,
        grant: GrantId | None,
        *,
        claim: str = "c1",
        lease: float = 30,
        delivery: str | None = None,
    ) -> Rotation | Superseded | None:
        """Claim a rotation, or open it anew."""
        event = replace(event_about(rotation, Action.STARTED), delivery=delivery)
        instead = self.new(rotation.group, by=rotation.requester)
        return await self.rotations.claim(NewClaim(rotation.id, grant, claim, lease, event, instead))

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
