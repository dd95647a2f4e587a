"""Block Kit's shapes and limits, as Slack enforces them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.schema import Rule, anything, either, many, of_type, one_of, shape, string, typed, wrong

IN_A_MESSAGE = 50
IN_A_VIEW = 100
_VIEW_BYTES = 250_000
_ID = string(255)
_BOOLEAN = of_type(bool)
_INTEGER = of_type(int)


def _plain(most: int) -> Rule:
    return typed({"plain_text": shape({"text": string(most)}, {"emoji": _BOOLEAN})})


def _text(most: int) -> Rule:
    plain = shape({"text": string(most)}, {"emoji": _BOOLEAN})
    return typed({"plain_text": plain, "mrkdwn": shape({"text": string(most)}, {"verbatim": _BOOLEAN})})


_CONFIRM = shape(
    {"title": _plain(100), "text": _text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": one_of("primary", "danger")},
)
_OPTION = shape({"text": _text(75), "value": string(150)}, {"description": _text(75), "url": string(3000)})
_OPTION_GROUP = shape({"label": _plain(75), "options": many(_OPTION, 100)})
_IMAGE = either(
    "image_url",
    "slack_file",
    shape({"alt_text": string(2000)}, {"image_url": string(3000), "slack_file": anything}),
)
_ACTS = {"action_id": _ID}
_CONFIRMS = {**_ACTS, "confirm": _CONFIRM}
_MENU = {**_CONFIRMS, "placeholder": _plain(150), "focus_on_load": _BOOLEAN}
_INPUT = {**_ACTS, "placeholder": _plain(150), "focus_on_load": _BOOLEAN, "dispatch_action_config": anything}

_BUTTON = shape(
    {"text": _plain(75)},
    {
        **_CONFIRMS,
        "url": string(3000),
        "value": string(2000),
        "style": one_of("primary", "danger"),
        "accessibility_label": string(75),
    },
)
_STATIC_OPTIONS: Mapping[str, Rule] = {
    "options": many(_OPTION, 100),
    "option_groups": many(_OPTION_GROUP, 100),
}
_SELECT = either("options", "option_groups", shape({}, {**_MENU, **_STATIC_OPTIONS, "initial_option": _OPTION}))
_MULTI_SELECT = either(
    "options",
    "option_groups",
    shape(
        {},
        {**_MENU, **_STATIC_OPTIONS, "initial_options": many(_OPTION, 100), "max_selected_items": _INTEGER},
    ),
)
_ELEMENTS: Mapping[str, Rule] = {
    "button": _BUTTON,
    "overflow": shape({"options": many(_OPTION, 5)}, _CONFIRMS),
    "static_select": _SELECT,
    "multi_static_select": _MULTI_SELECT,
    "users_select": shape({}, {**_MENU, "initial_user": _ID}),
    "conversations_select": shape({}, {**_MENU, "initial_conversation": _ID, "filter": anything}),
    "channels_select": shape({}, {**_MENU, "initial_channel": _ID, "response_url_enabled": _BOOLEAN}),
    "radio_buttons": shape({"options": many(_OPTION, 10)}, {**_MENU, "initial_option": _OPTION}),
    "checkboxes": shape({"options": many(_OPTION, 10)}, {**_MENU, "initial_options": many(_OPTION, 10)}),
    "datepicker": shape({}, {**_MENU, "initial_date": string(10, 10)}),
    "timepicker": shape({}, {**_MENU, "initial_time": string(5, 5), "timezone": string(100)}),
    "datetimepicker": shape({}, {**_CONFIRMS, "initial_date_time": _INTEGER, "focus_on_load": _BOOLEAN}),
}
_INPUTS: Mapping[str, Rule] = {
    **{kind: rule for kind, rule in _ELEMENTS.items() if kind not in {"button", "overflow"}},
    "plain_text_input": shape(
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
_IN_CONTEXT: Mapping[str, Rule] = {
    "image": _IMAGE,
    "plain_text": shape({"text": string(3000)}, {"emoji": _BOOLEAN}),
    "mrkdwn": shape({"text": string(3000)}, {"verbatim": _BOOLEAN}),
}
_IDENTIFIED = {"block_id": _ID}
_BLOCKS: Mapping[str, Rule] = {
    "section": either(
        "text",
        "fields",
        shape(
            {},
            {
                **_IDENTIFIED,
                "text": _text(3000),
                "fields": many(_text(2000), 10),
                "accessory": typed({**_ELEMENTS, "image": _IMAGE}),
                "expand": _BOOLEAN,
            },
        ),
    ),
    "header": shape({"text": _plain(150)}, _IDENTIFIED),
    "divider": shape({}, _IDENTIFIED),
    "context": shape({"elements": many(typed(_IN_CONTEXT), 10)}, _IDENTIFIED),
    "actions": shape({"elements": many(typed(_ELEMENTS), 25)}, _IDENTIFIED),
    "image": either(
        "image_url",
        "slack_file",
        shape(
            {"alt_text": string(2000)},
            {**_IDENTIFIED, "image_url": string(3000), "slack_file": anything, "title": _plain(2000)},
        ),
    ),
    "rich_text": shape({"elements": many(anything, 1000)}, _IDENTIFIED),
    "markdown": shape({"text": string(12_000)}, _IDENTIFIED),
    "input": shape(
        {"label": _plain(2000), "element": typed(_INPUTS)},
        {**_IDENTIFIED, "hint": _plain(2000), "optional": _BOOLEAN, "dispatch_action": _BOOLEAN},
    ),
}
_VIEW_KEYS: Mapping[str, Rule] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_MODAL_KEYS: Mapping[str, Rule] = {
    **_VIEW_KEYS,
    "close": _plain(24),
    "submit": _plain(24),
    "clear_on_close": _BOOLEAN,
    "notify_on_close": _BOOLEAN,
    "submit_disabled": _BOOLEAN,
}
_VIEW_BLOCKS = many(typed(_BLOCKS), IN_A_VIEW, 0)
_MESSAGE_BLOCKS = many(typed(_BLOCKS), IN_A_MESSAGE, 0)
_VIEW = typed(
    {
        "home": shape({"blocks": _VIEW_BLOCKS}, _VIEW_KEYS),
        "modal": shape({"title": _plain(24), "blocks": _VIEW_BLOCKS}, _MODAL_KEYS),
    }
)


def problems(blocks: object) -> list[str]:
    """Say what Slack would not accept about the blocks of a message."""
    return [*_MESSAGE_BLOCKS(blocks, "/blocks"), *_twice(blocks)]


def problems_of_view(view: object) -> list[str]:
    """Say what Slack would not accept about a Home tab or a modal."""
    found = list(_VIEW(view, "/view"))
    if isinstance(view, dict):
        found += _twice(view.get("blocks"))
    if len(json.dumps(view).encode()) > _VIEW_BYTES:
        found += wrong(f"must be less than {_VIEW_BYTES + 1} bytes", "/view")
    return found


def _twice(blocks: object) -> Iterator[str]:
    known = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    for block_id in _repeated(known, "block_id"):
        yield from wrong(f"`block_id` already exists: {block_id}", "/blocks")
    for block in known:
        elements = block.get("elements")
        for action_id in _repeated(elements if isinstance(elements, list) else [], "action_id"):
            yield from wrong(f"`action_id` already exists: {action_id}", "/blocks")


def _repeated(objects: list[Any], key: str) -> list[str]:
    values = Counter(str(each[key]) for each in objects if isinstance(each, dict) and key in each)
    return [value for value, times in values.items() if times > 1]
