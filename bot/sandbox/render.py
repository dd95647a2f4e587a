"""What a person reads where Slack shows text and blocks."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_HIDDEN = frozenset({"confirm", "placeholder", "options", "option_groups"})  # shown only on demand


def plain(text: str, blocks: list[dict[str, Any]], names: Mapping[str, str]) -> str:
    """Render the blocks and the notification text, a line for each piece; `names` are by user id."""
    lines = [*_lines(blocks, names), rendered(text, names)]
    return "\n".join(line for line in lines if line)


def rendered(text: str, names: Mapping[str, str]) -> str:
    """Render mrkdwn: references as Slack shows them (`@channel`, labels), entities unescaped.

    What was escaped shows as it was typed, so `<!channel>` in the result is inert and `@channel` would
    have called everybody.
    """
    shown = _REFERENCE.sub(lambda match: _shown(match[1], match[2], names), text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _shown(target: str, label: str | None, names: Mapping[str, str]) -> str:
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


def _text(node: dict[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    text = node.get("text")
    if isinstance(text, str):
        yield rendered(text, names) if node.get("type") == "mrkdwn" else text
