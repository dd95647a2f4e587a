"""The table of audit actions that auditors read, against those that the code writes."""

import re
from pathlib import Path

from bot.domain.events import Action

PAGE = (Path(__file__).parents[2] / "docs" / "audit-trail.md").read_text()
ROWS = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_every_action_is_in_the_table_in_its_order() -> None:
    assert [action for action, *_ in ROWS] == list(Action)


def test_every_row_says_what_it_means_and_names_members() -> None:
    assert all(meaning.strip() and "`" in members for _, meaning, _, members in ROWS)
