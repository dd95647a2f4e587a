"""The bot's audit trail, read from its SQLite file without a lock and without the bot's help."""

import contextlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NEWER = """
SELECT seq, at, action, team_id, user_id, organization, "group", rotation_id, detail
FROM audit_events WHERE seq > ? ORDER BY seq
"""
Event = dict[str, Any]


@dataclass(slots=True)
class Trail:
    """The events so far; `grows` reads what came since."""

    path: Path
    events: list[Event] = field(default_factory=list)

    @property
    def actions(self) -> list[str]:
        """Return what happened, oldest first."""
        return [event["action"] for event in self.events]

    def grows(self) -> bool:
        """Read the new events, and say whether there were any."""
        last = self.events[-1]["seq"] if self.events else 0
        # No file or no table yet: the bot is still starting. Busy: next time.
        with contextlib.suppress(sqlite3.OperationalError), closing(self._opens()) as connection:
            connection.row_factory = sqlite3.Row
            new = [_event(row) for row in connection.execute(_NEWER, (last,))]
            self.events += new
            return bool(new)
        return False

    def _opens(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=0.2)


def _event(row: sqlite3.Row) -> Event:
    detail = row["detail"]
    return {**dict(row), "detail": json.loads(detail) if isinstance(detail, str) else {}}
