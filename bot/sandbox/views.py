"""The Home tabs and modals that the app shows."""

import secrets
from dataclasses import dataclass, field

from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import interactive_elements
from bot.sandbox.render import render


@dataclass(slots=True, eq=False)
class View:
    """One person's Home tab, or a modal; changed in place when the app changes it."""

    view_id: str
    user_id: str
    content: JsonObject  # as sent: type, blocks, title, callback_id, …
    closed: bool = False
    errors: dict[str, str] = field(default_factory=dict)  # by block id, after the app refused a submission
    hash: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def blocks(self) -> list[JsonObject]:
        """Return the blocks, as sent."""
        blocks: list[JsonObject] = self.content.get("blocks", [])
        return blocks

    @property
    def plain(self) -> str:
        """Return everything its person can read, one line per piece."""
        title = self.content.get("title", {}).get("text", "")
        return render(title, self.blocks, {})

    @property
    def buttons(self) -> list[str]:
        """Return the action ids that can be used."""
        return [element["action_id"] for element in interactive_elements(self.blocks) if "action_id" in element]

    def replace(self, content: JsonObject) -> None:
        """Replace the content."""
        self.content, self.hash, self.errors = content, secrets.token_hex(8), {}

    def element(self, action_id: str) -> JsonObject | None:
        """Find a button or menu."""
        elements = interactive_elements(self.blocks)
        return next((each for each in elements if each.get("action_id") == action_id), None)

    def as_json(self, team_id: str, app_id: str) -> JsonObject:
        """Return the view object of Slack's responses and payloads."""
        sent = {"private_metadata": "", "callback_id": "", "state": {"values": {}}, **self.content}
        ids = {"id": self.view_id, "team_id": team_id, "app_id": app_id, "bot_id": "B0BOT"}
        stack = {"previous_view_id": None, "root_view_id": self.view_id}
        return {**sent, **ids, "hash": self.hash, **stack}
