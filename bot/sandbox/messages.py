"""A message as its channel shows it, with its earlier versions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.sandbox.json_object import JsonObject
from bot.sandbox.render import render


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a message: blocks, and the text for notifications, which also shows if there are no blocks."""

    text: str = ""
    blocks: list[JsonObject] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class PostedMessage:
    """One message; changed in place when the app changes it."""

    ts: str  # Slack's id of a message within a channel: unix seconds with six decimals
    position: int  # in `LocalSlack.messages`
    channel: str
    content: Content
    via: str  # "chat.postMessage", "response_url", "ack", …
    author: str = "bot"  # or "slackbot", which reports failed commands, or a user id
    ephemeral_to: str | None = None  # user id
    versions: list[Content] = field(default_factory=list)  # earlier ones, oldest first
    names: Mapping[str, str] = field(default_factory=dict, repr=False)  # of people, by user id
    _plain: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Return the notification text, as sent."""
        return self.content.text

    @property
    def blocks(self) -> list[JsonObject]:
        """Return the blocks, as sent."""
        return self.content.blocks

    @property
    def plain(self) -> str:
        """Return everything a person can read in the current version, one line per piece."""
        if self._plain is None:
            self._plain = render(self.text, self.blocks, self.names)
        return self._plain

    @property
    def buttons(self) -> list[str]:
        """Return the action ids that can be used in the current version."""
        return [element["action_id"] for element in interactive_elements(self.blocks) if "action_id" in element]

    def replace(self, content: Content) -> None:
        """Replace the content, and keep the old one as a version."""
        self.versions.append(self.content)
        self.content, self._plain = content, None

    def element(self, action_id: str) -> JsonObject | None:
        """Find a button in the current version or, for a stale card, in the last version that had it."""
        for content in (self.content, *reversed(self.versions)):
            for element in interactive_elements(content.blocks):
                if element.get("action_id") == action_id:
                    return element
        return None


def interactive_elements(blocks: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """List buttons, menus and inputs, each with the `block_id` of its block."""
    for number, block in enumerate(blocks):
        accessory = [block["accessory"]] if "accessory" in block else []
        inputs = [block["element"]] if "element" in block else []
        elements = block.get("elements", []) if block.get("type") == "actions" else []
        for element in (*elements, *accessory, *inputs):
            yield {"block_id": block.get("block_id", f"b{number}"), **element}
