"""Render text and blocks as the plain text that a person reads in Slack."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bot.sandbox.json_object import JsonObject

_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_HIDDEN = frozenset({"confirm", "placeholder", "options", "option_groups"})  # shown only on demand


def render(text: str, blocks: Sequence[JsonObject], names: Mapping[str, str]) -> str:
    """Render the blocks and the notification text, one line per piece; `names` maps user ids to names."""
    lines = [*_lines(blocks, names), render_mrkdwn(text, names)]
    return "\n".join(line for line in lines if line)


def render_mrkdwn(text: str, names: Mapping[str, str]) -> str:
    """Render mrkdwn: resolve references as Slack does (`@channel`, labels) and unescape entities.

    Escaped text shows as it was typed: `<!channel>` in the result is inert, while `@channel` would have
    notified everybody.
    """
    resolved = _REFERENCE.sub(lambda match: _reference(match[1], match[2], names), text)
    return resolved.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _reference(target: str, label: str | None, names: Mapping[str, str]) -> str:
    if target.startswith("@"):
        return "@" + names.get(target[1:], label or target[1:])
    if target.startswith("#"):
        return "#" + (label or target[1:])
    if target.startswith("!date^"):
        return label or ""
    if target.startswith("!"):
        return label or "@" + target[1:]
    return label or target


def _lines(node: object, names: Mapping[str, str]) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _lines(child, names)
    elif isinstance(node, dict):
        yield from _text(node, names)
        for key, child in node.items():
            if key not in _HIDDEN:
                yield from _lines(child, names)


def _text(node: JsonObject, names: Mapping[str, str]) -> Iterator[str]:
    text = node.get("text")
    if isinstance(text, str):
        yield render_mrkdwn(text, names) if node.get("type") == "mrkdwn" else text
