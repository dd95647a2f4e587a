"""The bot's audit trail, read from its SQLite file without a lock and without the bot."""

import contextlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.json_object import JsonObject

_NEWER = """
SELECT seq, at, action, team_id, user_id, organization, "group", rotation_id, detail
FROM audit_events WHERE seq > ? ORDER BY seq
"""


@dataclass(slots=True)
class TrailFile:
    """The events so far; `refresh` reads the new ones."""

    path: Path
    events: list[JsonObject] = field(default_factory=list)

    @property
    def actions(self) -> list[str]:
        """Return the actions of the events, oldest first."""
        return [event["action"] for event in self.events]

    def refresh(self) -> bool:
        """Read the new events, and return whether there were any."""
        last = self.events[-1]["seq"] if self.events else 0
        # No file or no table yet: the bot is still starting. Busy: the next call reads them.
        with contextlib.suppress(sqlite3.OperationalError), closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            new = [_event(row) for row in connection.execute(_NEWER, (last,))]
            self.events += new
            return bool(new)
        return False

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=0.2)


def _event(row: sqlite3.Row) -> JsonObject:
    detail = row["detail"]
    return {**dict(row), "detail": json.loads(detail) if isinstance(detail, str) else {}}
