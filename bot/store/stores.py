"""The stores of the running bot, over one database."""

from bot.domain.models import Organization
from bot.store.allowlist import SqlGrants
from bot.store.backlog import SqlBacklog
from bot.store.database import Database
from bot.store.guard_record import SqlGuards
from bot.store.history import SqlHistory
from bot.store.outbox import SqlOutbox
from bot.store.rotations import SqlRotations
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal


class Stores:
    """The stores of one organization."""

    def __init__(self, database: Database, seal: Seal, organization: Organization) -> None:
        self.database = database
        self.seal = seal
        self.rotations = SqlRotations(database, seal, organization)
        self.grants = SqlGrants(database, seal)
        self.trail = SqlTrail(database, seal)
        self.outbox = SqlOutbox(database, seal, organization)
        self.backlog = SqlBacklog(database, organization)
        self.guards = SqlGuards(database, seal, organization)
        self.history = SqlHistory(database, organization)
