"""The shapes and limits that Slack enforces on the parts of Block Kit that the bot uses."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.schema import (
    Validator,
    anything,
    by_type,
    list_of,
    object_with,
    of_type,
    one_of,
    problem,
    string,
    with_either,
)

_VIEW_BYTES = 250_000
_ID = string(255)
_BOOLEAN = of_type(bool)
_INTEGER = of_type(int)


def _plain(most: int) -> Validator:
    return by_type({"plain_text": object_with({"text": string(most)}, {"emoji": _BOOLEAN})})


def _text(most: int) -> Validator:
    plain = object_with({"text": string(most)}, {"emoji": _BOOLEAN})
    return by_type({"plain_text": plain, "mrkdwn": object_with({"text": string(most)}, {"verbatim": _BOOLEAN})})


_CONFIRM = object_with(
    {"title": _plain(100), "text": _text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": one_of("primary", "danger")},
)
_OPTION = object_with({"text": _text(75), "value": string(150)}, {"description": _text(75), "url": string(3000)})
_OPTION_GROUP = object_with({"label": _plain(75), "options": list_of(_OPTION, 100)})
_ACTION = {"action_id": _ID}
_CONFIRMED = {**_ACTION, "confirm": _CONFIRM}
_MENU = {**_CONFIRMED, "placeholder": _plain(150), "focus_on_load": _BOOLEAN}
_INPUT = {**_ACTION, "placeholder": _plain(150), "focus_on_load": _BOOLEAN, "dispatch_action_config": anything}

_BUTTON = object_with(
    {"text": _plain(75)},
    {
        **_CONFIRMED,
        "url": string(3000),
        "value": string(2000),
        "style": one_of("primary", "danger"),
        "accessibility_label": string(75),
    },
)
_STATIC_OPTIONS: Mapping[str, Validator] = {
    "options": list_of(_OPTION, 100),
    "option_groups": list_of(_OPTION_GROUP, 100),
}
_MENUS: Mapping[str, Validator] = {
    "static_select": with_either(
        "options", "option_groups", object_with({}, {**_MENU, **_STATIC_OPTIONS, "initial_option": _OPTION})
    ),
    "users_select": object_with({}, {**_MENU, "initial_user": _ID}),
}
_ELEMENTS: Mapping[str, Validator] = {"button": _BUTTON, **_MENUS}
_INPUTS: Mapping[str, Validator] = {
    **_MENUS,
    "plain_text_input": object_with(
        {},
        {
            **_INPUT,
            "initial_value": string(3000, 0),
            "multiline": _BOOLEAN,
            "min_length": _INTEGER,
            "max_length": _INTEGER,
        },
    ),
}
_IDENTIFIED = {"block_id": _ID}
_BLOCKS: Mapping[str, Validator] = {
    "section": with_either(
        "text",
        "fields",
        object_with(
            {},
            {
                **_IDENTIFIED,
                "text": _text(3000),
                "fields": list_of(_text(2000), 10),
                "accessory": by_type(_ELEMENTS),
                "expand": _BOOLEAN,
            },
        ),
    ),
    "header": object_with({"text": _plain(150)}, _IDENTIFIED),
    "divider": object_with({}, _IDENTIFIED),
    "context": object_with({"elements": list_of(_text(3000), 10)}, _IDENTIFIED),
    "actions": object_with({"elements": list_of(by_type(_ELEMENTS), 25)}, _IDENTIFIED),
    "input": object_with(
        {"label": _plain(2000), "element": by_type(_INPUTS)},
        {**_IDENTIFIED, "hint": _plain(2000), "optional": _BOOLEAN, "dispatch_action": _BOOLEAN},
    ),
}
_VIEW_KEYS: Mapping[str, Validator] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_MODAL_KEYS: Mapping[str, Validator] = {
    **_VIEW_KEYS,
    "close": _plain(24),
    "submit": _plain(24),
    "clear_on_close": _BOOLEAN,
    "notify_on_close": _BOOLEAN,
    "submit_disabled": _BOOLEAN,
}
_MESSAGE_BLOCKS = list_of(by_type(_BLOCKS), 50, 0)
_VIEW_BLOCKS = list_of(by_type(_BLOCKS), 100, 0)
_VIEW = by_type(
    {
        "home": object_with({"blocks": _VIEW_BLOCKS}, _VIEW_KEYS),
        "modal": object_with({"title": _plain(24), "blocks": _VIEW_BLOCKS}, _MODAL_KEYS),
    }
)


def message_problems(blocks: object) -> list[str]:
    """List what Slack would reject in the blocks of a message."""
    return [*_MESSAGE_BLOCKS(blocks, "/blocks"), *_duplicates(blocks)]


def view_problems(view: object) -> list[str]:
    """List what Slack would reject in a Home tab or a modal."""
    found = list(_VIEW(view, "/view"))
    if isinstance(view, dict):
        found += _duplicates(view.get("blocks"))
    if len(json.dumps(view).encode()) > _VIEW_BYTES:
        found += problem(f"must be less than {_VIEW_BYTES + 1} bytes", "/view")
    return found


def _duplicates(blocks: object) -> Iterator[str]:
    known = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    for block_id in _repeated(known, "block_id"):
        yield from problem(f"`block_id` already exists: {block_id}", "/blocks")
    for block in known:
        elements = block.get("elements")
        for action_id in _repeated(elements if isinstance(elements, list) else [], "action_id"):
            yield from problem(f"`action_id` already exists: {action_id}", "/blocks")


def _repeated(objects: list[Any], key: str) -> list[str]:
    values = Counter(str(each[key]) for each in objects if isinstance(each, dict) and key in each)
    return [value for value, times in values.items() if times > 1]
