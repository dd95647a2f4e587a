"""Block Kit elements in which foreign text is inert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain.models import Actor
from bot.domain.names import USER_ID
from bot.domain.text import without_deception

Block = dict[str, Any]

VALUE_LIMIT = 2000
"""How many characters a button's value may have."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Slack message: blocks, and a text for notifications and screen readers."""

    text: str
    blocks: tuple[Block, ...]

    def payload(self) -> dict[str, Any]:
        """Return the message as arguments of Slack's API."""
        return {"text": self.text, "blocks": list(self.blocks)}


def clean(text: str, limit: int) -> str:
    """Drop deceptive characters, and cut to `limit` characters."""
    text = without_deception(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str, limit: int = 300) -> str:
    """Make foreign text inert in mrkdwn."""
    text = clean(text, limit).replace("`", "'")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Format foreign text as code."""
    return f"`{escape(text)}`"


def when(moment: datetime, *, seconds: bool = False) -> str:
    """Format a moment so that Slack shows it in the reader's own time zone."""
    fallback = moment.strftime("%Y-%m-%d %H:%M:%S UTC" if seconds else "%Y-%m-%d %H:%M UTC")
    clock = "{time_secs}" if seconds else "{time}"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {clock}|{fallback}>"


def who(actor: Actor) -> str:
    """Format an actor; Slack users become mentions."""
    mentioned = actor.in_slack and USER_ID.fullmatch(actor.user_id)
    return f"<@{actor.user_id}>" if mentioned else escape(actor.user_id, 64)


def message(mrkdwn: str, *more: Block) -> Message:
    """Build a message from our own mrkdwn, with more blocks below it."""
    return Message(mrkdwn, (section(mrkdwn), *more))


def header(text: str) -> Block:
    """Build a title."""
    return {"type": "header", "text": plain(text, 150)}


def section(mrkdwn: str, accessory: Block | None = None) -> Block:
    """Build a paragraph of our own mrkdwn; pass foreign parts through `escape` or `code` first."""
    extra = {} if accessory is None else {"accessory": accessory}
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}, **extra}


def quoted(label: str, text: str, limit: int = 2900) -> Block:
    """Build a paragraph of foreign text after a label of ours, without markup."""
    return {"type": "section", "text": plain(f"{label}: {text}", limit)}


def context(*parts: str | Block) -> Block:
    """Build small print: our own as mrkdwn, foreign text through `plain`."""
    elements = [{"type": "mrkdwn", "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "context", "elements": elements}


def button(action_id: str, label: str, value: str, style: str | None = None) -> Block:
    """Build a button."""
    extra = {} if style is None else {"style": style}
    return {"type": "button", "action_id": action_id, "text": plain(label, 75), "value": value, **extra}


def fits(offered: Block) -> bool:
    """Return whether Slack accepts the length of a button's value."""
    return 0 < len(offered["value"]) <= VALUE_LIMIT


def actions(*buttons: Block) -> Block:
    """Build a row of buttons and menus."""
    return {"type": "actions", "elements": list(buttons)}


def plain(text: str, limit: int) -> Block:
    """Build text without markup."""
    return {"type": "plain_text", "text": clean(text, limit) or "-", "emoji": False}


def rule() -> Block:
    """Build a horizontal rule."""
    return {"type": "divider"}


def modal(title: str, blocks: Sequence[Block]) -> Block:
    """Build a modal that only shows blocks."""
    return {"type": "modal", "title": plain(title, 24), "close": plain("Close", 24), "blocks": list(blocks)}


def home(blocks: Sequence[Block], metadata: str) -> Block:
    """Build the Home tab; Slack returns `metadata` with each use of it."""
    return {"type": "home", "blocks": list(blocks), "private_metadata": metadata}


def option(label: str, value: str) -> Block:
    """Build one option of a menu."""
    return {"text": plain(label, 75), "value": value}


def menu(action_id: str, options: Sequence[Block], chosen: Block) -> Block:
    """Build a menu with its current choice."""
    return {"type": "static_select", "action_id": action_id, "options": list(options), "initial_option": chosen}


def people(action_id: str, placeholder: str, chosen: str | None) -> Block:
    """Build a menu of the people in the workspace."""
    extra = {} if chosen is None else {"initial_user": chosen}
    return {"type": "users_select", "action_id": action_id, "placeholder": plain(placeholder, 150), **extra}
