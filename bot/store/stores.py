"""The stores of the running bot, over one database."""

from dataclasses import dataclass

from bot.domain.models import Organization
from bot.store.allowlist import SqlGrants
from bot.store.backlog import SqlBacklog
from bot.store.database import Database
from bot.store.history import SqlHistory
from bot.store.outbox import SqlOutbox
from bot.store.rotations import SqlRotations
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal


@dataclass(frozen=True, slots=True)
class Stores:
    """One store for each port."""

    rotations: SqlRotations
    grants: SqlGrants
    trail: SqlTrail
    outbox: SqlOutbox
    backlog: SqlBacklog
    history: SqlHistory

    @classmethod
    def over(cls, database: Database, seal: Seal, organization: Organization) -> "Stores":
        """Create the stores of one organization."""
        return cls(
            SqlRotations(database, seal, organization),
            SqlGrants(database, seal),
            SqlTrail(database, seal),
            SqlOutbox(database, seal, organization),
            SqlBacklog(database, organization),
            SqlHistory(database, organization),
        )
