"""A message as a channel shows it, with everything it said before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.render import plain

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says: blocks, and the text that notifications (or, without blocks, readers) show."""

    text: str = ""
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Message:
    """One message; changed in place when the app changes it."""

    ts: str  # Slack's id of a message within a channel: unix seconds with six decimals
    position: int  # in `LocalSlack.messages`
    channel: str
    content: Content
    via: str  # "chat.postMessage", "response_url", "ack", …
    author: str = "bot"  # or "slackbot", who reports a command that failed
    ephemeral_to: str | None = None  # user id
    thread_ts: str | None = None
    deleted: bool = False
    versions: list[Content] = field(default_factory=list)  # earlier ones, oldest first
    names: Mapping[str, str] = field(default_factory=dict, repr=False)  # of people, by user id
    _plain: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Return the notification text, as sent."""
        return self.content.text

    @property
    def blocks(self) -> list[Block]:
        """Return the blocks, as sent."""
        return self.content.blocks

    @property
    def plain(self) -> str:
        """Return all that a person can read of the current version, one line for each piece."""
        if self._plain is None:
            self._plain = plain(self.text, self.blocks, self.names)
        return self._plain

    @property
    def buttons(self) -> list[str]:
        """Return the action ids that can be used in the current version."""
        return [element["action_id"] for element in actionable(self.blocks) if "action_id" in element]

    def becomes(self, content: Content) -> None:
        """Show something else from now on."""
        self.versions.append(self.content)
        self.content, self._plain = content, None

    def element(self, action_id: str) -> Block | None:
        """Find a button in the current version or, for a stale card, in the last one that had it."""
        for content in (self.content, *reversed(self.versions)):
            for element in actionable(content.blocks):
                if element.get("action_id") == action_id:
                    return element
        return None


def actionable(blocks: list[Block]) -> Iterator[Block]:
    """List buttons, menus and inputs, each with the `block_id` that it sits in."""
    for number, block in enumerate(blocks):
        accessory = [block["accessory"]] if "accessory" in block else []
        inputs = [block["element"]] if "element" in block else []
        elements = block.get("elements", []) if block.get("type") == "actions" else []
        for element in (*elements, *accessory, *inputs):
            yield {"block_id": block.get("block_id", f"b{number}"), **element}
