"""What Slack accepts of Block Kit, and what a person then reads."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.block_kit import message_problems, view_problems
from bot.sandbox.messages import Content, PostedMessage
from bot.sandbox.render import render, render_mrkdwn

Json = dict[str, Any]
DIVIDER: Json = {"type": "divider"}


def text(length: int = 1, kind: str = "plain_text") -> Json:
    return {"type": kind, "text": "x" * length}


def section(length: int = 1) -> Json:
    return {"type": "section", "text": text(length, "mrkdwn")}


def button(**more: object) -> Json:
    return {"type": "button", "text": text(), "action_id": "go"} | more


def actions(*elements: Json, **more: object) -> Json:
    return {"type": "actions", "elements": list(elements)} | more


def confirm(**more: object) -> Json:
    return {"title": text(100), "text": text(300), "confirm": text(30), "deny": text(30)} | more


def fields(count: int, length: int = 1) -> Json:
    return {"type": "section", "fields": [text(length)] * count}


def context(count: int) -> Json:
    return {"type": "context", "elements": [text(1, "mrkdwn")] * count}


def many_buttons(count: int) -> Json:
    return actions(*(button(action_id=str(number)) for number in range(count)))


def header(length: int, kind: str = "plain_text") -> Json:
    return {"type": "header", "text": text(length, kind)}


@pytest.mark.parametrize(
    "blocks",
    [
        [DIVIDER] * 50,
        [section(3000)],
        [header(150)],
        [context(10)],
        [many_buttons(25)],
        [fields(10, 2000)],
        [actions(button(text=text(75), value="x" * 2000, action_id="x" * 255, style="danger", confirm=confirm()))],
        [actions({"type": "static_select", "action_id": "more", "options": [{"text": text(), "value": "a"}]})],
        [section() | {"accessory": button()}],
    ],
)
def test_what_is_within_the_limits_is_accepted(blocks: list[Json]) -> None:
    assert message_problems(blocks) == []


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([DIVIDER] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([section(3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section(0)], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([header(151)], "must be less than 151 characters [json-pointer:/blocks/0/text/text]"),
        ([header(1, "mrkdwn")], "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
        ([context(11)], "no more than 10 items allowed [json-pointer:/blocks/0/elements]"),
        ([many_buttons(26)], "no more than 25 items allowed [json-pointer:/blocks/0/elements]"),
        ([fields(11)], "no more than 10 items allowed [json-pointer:/blocks/0/fields]"),
        ([fields(1, 2001)], "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"),
        ([actions(button(text=text(76)))], "must be less than 76 characters"),
        ([actions(button(value="x" * 2001))], "must be less than 2001 characters"),
        ([actions(button(action_id="x" * 256))], "must be less than 256 characters"),
        ([actions(button(), block_id="x" * 256)], "must be less than 256 characters"),
        ([actions(button(style="default"))], "must be one of primary, danger"),
        ([actions(button(confirm=confirm(title=text(101))))], "must be less than 101 characters"),
        ([actions(button(confirm=confirm(text=text(301))))], "must be less than 301 characters"),
        ([actions(button(confirm=confirm(deny=text(31))))], "must be less than 31 characters"),
        ([actions(button(), button())], "`action_id` already exists: go"),
        ([DIVIDER | {"block_id": "b"}] * 2, "`block_id` already exists: b"),
        ([actions(button(colour="red"))], "invalid additional property: colour [json-pointer:/blocks/0/elements/0]"),
        ([{"type": "secton"}], "unsupported type: secton [json-pointer:/blocks/0/type]"),
        ([actions({"type": "knob"})], "unsupported type: knob [json-pointer:/blocks/0/elements/0/type]"),
        ([{"type": "section"}], "must define either `text` or `fields` [json-pointer:/blocks/0]"),
        ([{"type": "header"}], "missing required field: text [json-pointer:/blocks/0]"),
        (["text"], "must provide an object [json-pointer:/blocks/0]"),
        ({}, "must be an array [json-pointer:/blocks]"),
    ],
)
def test_what_is_beyond_them_is_named(blocks: object, complaint: str) -> None:
    found = message_problems(blocks)

    assert len(found) == 1
    assert found[0].startswith(complaint)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"blocks": [DIVIDER] * 101}, "no more than 100 items allowed [json-pointer:/view/blocks]"),
        ({"title": text(25)}, "must be less than 25 characters"),
        ({"private_metadata": "x" * 3001}, "must be less than 3001 characters"),
        ({"callback_id": "x" * 256}, "must be less than 256 characters"),
        ({"blocks": [section(2999)] * 99}, "must be less than 250001 bytes"),
        ({"type": "window"}, "unsupported type: window"),
        ({"blocks": [DIVIDER] * 100}, None),
    ],
)
def test_views_have_limits_of_their_own(change: Json, complaint: str | None) -> None:
    found = view_problems({"type": "modal", "title": text(24), "blocks": [DIVIDER]} | change)

    assert [problem[: len(complaint or "")] for problem in found] == ([] if complaint is None else [complaint])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "elements"]), inner),
)


@settings(max_examples=50)
@given(json_values)
def test_no_rubbish_breaks_the_check(value: object) -> None:
    assert isinstance(message_problems(value) + view_problems(value), list)


@pytest.mark.parametrize(
    ("mrkdwn", "read"),
    [
        ("tell <!channel> and <!here>", "tell @channel and @here"),
        ("tell &lt;!channel&gt; &amp;amp;", "tell <!channel> &amp;"),
        ("<https://evil.example|your bank>, <https://x.example>", "your bank, https://x.example"),
        ("<@UALICE> and <@UBOB> in <#C0AUDIT|audit>", "@alice and @UBOB in #audit"),
        ("until <!date^1790000000^{time}|12:00 UTC>", "until 12:00 UTC"),
    ],
)
def test_mrkdwn_reads_as_slack_shows_it(mrkdwn: str, read: str) -> None:
    assert render_mrkdwn(mrkdwn, {"UALICE": "alice"}) == read


def test_plain_text_is_shown_as_it_is() -> None:
    blocks: list[Json] = [{"type": "section", "text": {"type": "plain_text", "text": "<!channel> &amp;"}}]

    assert render("", blocks, {}) == "<!channel> &amp;"


def test_a_message_reads_as_its_current_version() -> None:
    message = PostedMessage(
        "1.000001", 0, "C0", Content("fallback", [section(3), actions(button(confirm=confirm()))]), "ack"
    )
    before = (message.plain, message.buttons)
    message.replace(Content("done"))

    assert before == ("xxx\nx\nfallback", ["go"])
    assert (message.plain, message.buttons) == ("done", [])
