"""Home tabs and modals that the app shows."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.messages import Block, actionable
from bot.sandbox.render import plain


@dataclass(slots=True, eq=False)
class View:
    """A Home tab or a modal of one person; changed in place when the app changes it."""

    view_id: str
    user_id: str
    content: dict[str, Any]  # as sent: type, blocks, title, callback_id, …
    parent: "View | None" = None  # the modal under this one
    closed: bool = False
    errors: dict[str, str] = field(default_factory=dict)  # by block id, after a submission was refused
    hash: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def blocks(self) -> list[Block]:
        """Return the blocks, as sent."""
        blocks: list[Block] = self.content.get("blocks", [])
        return blocks

    @property
    def plain(self) -> str:
        """Return all that its person can read, one line for each piece."""
        title = self.content.get("title", {}).get("text", "")
        return plain(title, self.blocks, {})

    @property
    def buttons(self) -> list[str]:
        """Return the action ids that can be used."""
        return [element["action_id"] for element in actionable(self.blocks) if "action_id" in element]

    def becomes(self, content: dict[str, Any]) -> None:
        """Show something else from now on."""
        self.content, self.hash, self.errors = content, secrets.token_hex(8), {}

    def element(self, action_id: str) -> Block | None:
        """Find a button or menu."""
        return next((each for each in actionable(self.blocks) if each.get("action_id") == action_id), None)

    def as_json(self, team_id: str, app_id: str) -> dict[str, Any]:
        """Return the view object that Slack answers and sends."""
        parent = None if self.parent is None else self.parent.view_id
        sent = {"private_metadata": "", "callback_id": "", "state": {"values": {}}, **self.content}
        ids = {"id": self.view_id, "team_id": team_id, "app_id": app_id, "bot_id": "B0BOT"}
        return {
            **sent,
            **ids,
            "hash": self.hash,
            "previous_view_id": parent,
            "root_view_id": self._root().view_id,
        }

    def _root(self) -> "View":
        return self if self.parent is None else self.parent._root()  # noqa: SLF001 - its own kind
