"""Block Kit pieces in which nothing a person or Turso wrote can act."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain.models import Actor

Block = dict[str, Any]

VALUE_LIMIT = 2000
"""Characters of a button's value."""

# Marks that reorder or hide text around them, and control characters.
_TREACHEROUS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


_MENTIONABLE = re.compile(r"[UW][A-Z0-9]{2,40}")


@dataclass(frozen=True, slots=True)
class Message:
    """What Slack shows: blocks, and a text for notifications and screen readers."""

    text: str
    blocks: tuple[Block, ...]

    def payload(self) -> dict[str, Any]:
        """Say it in Slack's words."""
        return {"text": self.text, "blocks": list(self.blocks)}


def clean(text: str, limit: int) -> str:
    """Drop treacherous characters and cut to `limit` characters."""
    text = _TREACHEROUS.sub("", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str, limit: int = 300) -> str:
    """Make foreign text inert inside mrkdwn."""
    text = clean(text, limit).replace("`", "'")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Show foreign text as code."""
    return f"`{escape(text)}`"


def when(moment: datetime, *, seconds: bool = False) -> str:
    """Show a moment in the reader's own zone."""
    fallback = moment.strftime("%Y-%m-%d %H:%M:%S UTC" if seconds else "%Y-%m-%d %H:%M UTC")
    clock = "{time_secs}" if seconds else "{time}"
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {clock}|{fallback}>"


def who(actor: Actor) -> str:
    """Name an actor: Slack shows its own users by their names of today."""
    mentioned = actor.in_slack and _MENTIONABLE.fullmatch(actor.user_id)
    return f"<@{actor.user_id}>" if mentioned else escape(actor.user_id, 64)


def said(mrkdwn: str, *more: Block) -> Message:
    """Say one thing in our own words, and show more below it."""
    return Message(mrkdwn, (section(mrkdwn), *more))


def header(text: str) -> Block:
    """Show a title."""
    return {"type": "header", "text": plain(text, 150)}


def section(mrkdwn: str, accessory: Block | None = None) -> Block:
    """Show our own prose; foreign parts must have gone through `escape` or `code`."""
    extra = {} if accessory is None else {"accessory": accessory}
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}, **extra}


def quoted(label: str, text: str, limit: int = 2900) -> Block:
    """Show foreign text behind our own label, without any markup."""
    return {"type": "section", "text": plain(f"{label}: {text}", limit)}


def context(*parts: str | Block) -> Block:
    """Show small print: our own as mrkdwn, foreign text through `plain`."""
    elements = [{"type": "mrkdwn", "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "context", "elements": elements}


def button(action_id: str, label: str, value: str, style: str | None = None) -> Block:
    """Offer a button."""
    extra = {} if style is None else {"style": style}
    return {"type": "button", "action_id": action_id, "text": plain(label, 75), "value": value, **extra}


def pressable(offered: Block) -> bool:
    """Say whether Slack takes a button: its value is what comes back, and has its limits."""
    return 0 < len(offered["value"]) <= VALUE_LIMIT


def actions(*buttons: Block) -> Block:
    """Offer buttons in a row."""
    return {"type": "actions", "elements": list(buttons)}


def plain(text: str, limit: int) -> Block:
    """Show text as it is."""
    return {"type": "plain_text", "text": clean(text, limit) or "-", "emoji": False}


def rule() -> Block:
    """Separate what is above from what is below."""
    return {"type": "divider"}


def modal(title: str, blocks: Sequence[Block]) -> Block:
    """Show blocks in a dialog that changes nothing."""
    return {"type": "modal", "title": plain(title, 24), "close": plain("Close", 24), "blocks": list(blocks)}


def home(blocks: Sequence[Block], metadata: str) -> Block:
    """Show blocks on the Home tab, which remembers `metadata`."""
    return {"type": "home", "blocks": list(blocks), "private_metadata": metadata}


def option(label: str, value: str) -> Block:
    """Offer one choice of a menu."""
    return {"text": plain(label, 75), "value": value}


def menu(action_id: str, options: Sequence[Block], chosen: Block) -> Block:
    """Offer a choice, with what is chosen now."""
    return {"type": "static_select", "action_id": action_id, "options": list(options), "initial_option": chosen}


def people(action_id: str, placeholder: str, chosen: str | None) -> Block:
    """Offer a choice among the people of the workspace."""
    extra = {} if chosen is None else {"initial_user": chosen}
    return {"type": "users_select", "action_id": action_id, "placeholder": plain(placeholder, 150), **extra}
