"""Everything that people and troubles can touch in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.local_slack import LocalSlack
from tests.postgres import PostgresServer
from tests.torture.ledger import Ledger
from tests.torture.replica import Replica
from tests.torture.witness import Witness


@dataclass(frozen=True)
class Stage:
    """What troubles can befall."""

    folder: Path
    settings: Mapping[str, str]
    database_url: str
    slack: LocalSlack
    turso: Witness
    replicas: Sequence[Replica]
    ledger: Ledger
    server: PostgresServer | None
    """`None`: the database is a file."""
