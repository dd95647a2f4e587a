"""Block Kit pieces in which nothing a person or Turso wrote can act."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Block = dict[str, Any]

# Marks that reorder or hide text around them, and control characters.
_TREACHEROUS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


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


def when(moment: datetime) -> str:
    """Show a moment in the reader's own zone."""
    fallback = moment.strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def header(text: str) -> Block:
    """Show a title."""
    return {"type": "header", "text": plain(text, 150)}


def section(mrkdwn: str) -> Block:
    """Show our own prose; foreign parts must have gone through `escape` or `code`."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}}


def quoted(label: str, text: str) -> Block:
    """Show foreign text behind our own label, without any markup."""
    return {"type": "section", "text": plain(f"{label}: {text}", 2900)}


def context(*mrkdwn: str) -> Block:
    """Show small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text} for text in mrkdwn]}


def button(action_id: str, label: str, value: str, style: str | None = None) -> Block:
    """Offer a button."""
    extra = {} if style is None else {"style": style}
    return {"type": "button", "action_id": action_id, "text": plain(label, 75), "value": value, **extra}


def actions(*buttons: Block) -> Block:
    """Offer buttons in a row."""
    return {"type": "actions", "elements": list(buttons)}


def plain(text: str, limit: int) -> Block:
    """Show text as it is."""
    return {"type": "plain_text", "text": clean(text, limit) or "-", "emoji": False}
