"""Everything that people and faults act on in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.local_slack import LocalSlack
from tests.postgres import PostgresServer
from tests.torture.ledger import Ledger
from tests.torture.recording_turso import RecordingTurso
from tests.torture.replica import Replica


@dataclass(frozen=True)
class Rig:
    """What faults and people act on."""

    folder: Path
    settings: Mapping[str, str]
    database_url: str
    slack: LocalSlack
    turso: RecordingTurso
    replicas: Sequence[Replica]
    ledger: Ledger
    server: PostgresServer | None
    """`None`: the database is a file."""
