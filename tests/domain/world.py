"""The use cases with the real stores and the real client, in one process."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count

from bot.domain.access import PolicySource
from bot.domain.models import ChannelId, GroupName, Request, Rotation, SlackContext, TeamId
from bot.domain.ports import RotationStore
from bot.domain.recording import Claimed, OutcomeRecorder
from bot.domain.requests import Requests, RotationConfig, RotationPorts
from bot.domain.rotations import Rotations
from bot.domain.states import State
from bot.sandbox.local_turso import LocalTurso
from bot.store.database import open_database
from bot.turso.client import TursoClient
from tests.databases import load_url
from tests.store.conftest import ACME, ALICE, Store

HERE = SlackContext(ChannelId("C0INCIDENT"))
PAYMENTS = GroupName("payments")


@dataclass
class World:
    """The use cases between a real store and a local Turso."""

    store: Store
    turso: LocalTurso
    client: TursoClient

    def __post_init__(self) -> None:
        self.recorder = OutcomeRecorder(self.store.rotations)
        self.requests, self.rotations = self.over(self.store.rotations, self.recorder)

    def over(
        self, store: RotationStore, recorder: OutcomeRecorder, database_hosts: Sequence[str] = ()
    ) -> tuple[Requests, Rotations]:
        """Build the use cases over a store of rotations."""
        ids = (f"id{number:04}" for number in count())
        config = RotationConfig(ACME, confirm_seconds=300, call_seconds=2, database_hosts=database_hosts)
        policies = PolicySource(TeamId("T012AB3CD"), self.store.grants)
        ports = RotationPorts(policies, store, self.store.trail, self.client, lambda: next(ids))
        return Requests(config, ports), Rotations(config, ports, recorder)

    async def claimed(self) -> Claimed:
        """Let Alice ask and confirm."""
        asked = await self.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
        claimed = await self.rotations.confirm(ALICE, HERE, asked.rotation.id)
        assert isinstance(claimed, Claimed)
        return claimed

    async def state(self, rotation: Rotation) -> State:
        found = await self.store.rotations.get(rotation.id)
        assert found is not None
        return found.state

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the database's lock, as another process may."""
        other = sqlite3.connect(str(self.store.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.close()


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[World]:
    """Open a world in which Alice may rotate everything."""
    url = load_url(database_url)
    database = open_database(url)
    store = Store(url, database)
    await store.grant()
    async with (
        LocalTurso() as turso,
        TursoClient(
            organization=ACME,
            base_url=turso.url,
            api_token="local-turso-token",
            group_tokens={},
            timeout=2,
            version="test",
        ) as client,
    ):
        yield World(store, turso, client)
    await database.close()
