"""Read the databases of a group from what Turso lists."""

from collections.abc import Iterable, Mapping
from typing import Any

from bot.domain.models import GroupName
from bot.domain.text import one_line


def of_group(group: GroupName, rows: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names and host names of the group's databases; a row that names no group belongs to it."""
    own = [row for row in rows if row.get("group", group) == group]
    names, hostnames = (tuple(one_line(str(row.get(key, ""))) for row in own) for key in ("Name", "Hostname"))
    return names, tuple(filter(None, hostnames))
