"""What people type is read, and what the bot says is shown, whatever is in it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import (
    AlreadyDecided,
    BotError,
    ChangedMeanwhile,
    DatabaseUnavailable,
    NoSuchGroup,
    NoSuchRotation,
    Refused,
    UsageError,
)
from bot.domain.events import TrailHead
from bot.domain.models import (
    Actor,
    ChannelId,
    GroupInfo,
    GroupName,
    GroupWorld,
    Organization,
    Request,
    Rotation,
    RotationId,
    TeamId,
    UserId,
)
from bot.domain.refusals import Refusal
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.domain.text import KEPT_CHARACTERS, storable
from bot.sandbox.block_kit import message_problems
from bot.slack.blocks import Message, escape
from bot.slack.errors import UnexpectedError
from bot.slack.rotate import card, outcome, refusal
from bot.slack.rotate.command import parse

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
HEAD = TrailHead(12, "5f" * 32)
ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
HOSTILE = ["<!channel>", "<https://evil.example|ledger>", "`x`", "*b*", "\u202eevil", "a\x00b", "&amp;", "x" * 10_000]
hostile = st.one_of(st.text(), st.sampled_from(HOSTILE))


def rotation(state: State, reason: str = "", explanation: str = "", group: str = "payments") -> Rotation:
    return Rotation(
        id=RotationId("62xrejy87vfv9"),
        organization=Organization("acme"),
        group=GroupName(group),
        requester=ALICE,
        channel_id=ChannelId("C0INCIDENT"),
        reason=reason,
        state=state,
        requested_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
        started_at=NOW,
        lease_until=NOW,
        detail={"explanation": explanation},
    )


def inert(message: Message) -> bool:
    """Say whether no foreign text became a mention, a link or a broadcast, and nothing breaks Slack's limits."""
    ours = re.compile(r"<@U0ALICE01>|<#C[A-Z0-9]+>|<!date\^[^<>]*>")
    live = [re.search(r"[<>]", ours.sub("", text)) for text in (message.text, *marked_up(list(message.blocks)))]
    return message_problems(list(message.blocks)) == [] and not any(live)


def marked_up(part: object) -> Iterator[str]:
    """Find the texts in which Slack would see markup."""
    if isinstance(part, list):
        for each in part:
            yield from marked_up(each)
    elif isinstance(part, dict):
        if part.get("type") == "mrkdwn":
            yield part["text"]
        yield from marked_up(list(part.values()))


@pytest.mark.parametrize(
    "text", ["", "  ", "\u00a0\u200b", "help", "HELP me", "\u200bHelp!", "--help", "\u2014help", "?"]
)
def test_nothing_or_help_asks_for_help(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "group", "reason"),
    [
        ("payments", "payments", ""),
        ("payments key leaked: in CI log", "payments", "key leaked: in CI log"),
        ("  payload-db   twice  spaced ", "payload-db", "twice  spaced"),
        ("payments\tafter a tab", "payments", "after a tab"),
        ("\ufeffpayments\u202f\u200bafter a narrow blank\r\nand a line", "payments", "after a narrow blank and a line"),
    ],
)
def test_a_group_and_a_reason_are_read_as_typed(text: str, group: str, reason: str) -> None:
    assert parse(text) == Request(GroupName(group), reason)


@pytest.mark.parametrize(
    "text", ["../x", "a/b", "%2e%2e", "-x", "x" * 65, "pay\u200fments", "💥", "a\x00b", "a*b", "\u202ex"]
)
@pytest.mark.fault("F27")
def test_what_is_no_name_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)

    assert text not in str(refused.value)


@given(st.text())
def test_parsing_never_fails_otherwise_and_keeps_only_what_can_be_stored(text: str) -> None:
    try:
        request = parse(text)
    except UsageError:
        return
    if request is not None:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", request.group)
        assert len(request.reason) <= KEPT_CHARACTERS
        assert storable(request.reason) == request.reason
        request.reason.encode()


@given(hostile)
def test_escaped_text_is_inert(text: str) -> None:
    assert not re.search(r"[<>`\u202e\x00]", escape(text))


@given(st.sampled_from(State), hostile, hostile, st.sampled_from([None, State.SUCCEEDED, State.FAILED]))
@pytest.mark.fault("F28")
def test_outcomes_hold_slacks_limits_and_stay_inert(
    state: State, reason: str, foreign: str, judged: State | None
) -> None:
    detail = {"explanation": foreign, "resolved_by": foreign, "note": foreign}
    ended = replace(rotation(state, reason), detail=detail, resolved_as=judged)

    assert inert(outcome.ended(ended))
    if state in {State.SUCCEEDED, State.FAILED, State.UNKNOWN}:
        assert inert(outcome.announcement(ended, HEAD))


def test_an_announcement_carries_the_head_of_the_trail_where_it_can_be_read() -> None:
    ended = rotation(State.SUCCEEDED)
    anchored, bare = outcome.announcement(ended, HEAD), outcome.announcement(ended, None)

    assert f"Audit trail `12:{'5f' * 32}`" in list(marked_up(list(anchored.blocks)))
    assert "Audit trail" not in str(bare)


@pytest.mark.parametrize(("judged", "words"), [(State.SUCCEEDED, "succeeded"), (State.FAILED, "failed")])
def test_a_judgement_is_told_as_somebodys_judgement(judged: State, words: str) -> None:
    ended = replace(
        rotation(State.UNKNOWN, "key leaked"),
        detail={"resolved_by": "root", "note": "old tokens are refused"},
        resolved_as=judged,
    )
    announced, card = outcome.announcement(ended, HEAD), outcome.ended(ended)

    for message in (announced, card):
        text = str(message)
        assert f"root judged that the rotation of `payments` in `acme`, requested by <@U0ALICE01>, {words}" in text
        assert "This is a person's judgement: Turso never confirmed it." in text
        assert "Note: old tokens are refused" in text
    assert "rotated the tokens" not in announced.text
    assert inert(announced)
    assert inert(card)


def test_what_turso_says_late_outweighs_a_judgement() -> None:
    ended = replace(rotation(State.FAILED), resolved_as=State.SUCCEEDED)

    assert "It failed; nothing was changed." in outcome.announcement(ended, HEAD).text
    assert outcome.ended(ended) == outcome.ended(rotation(State.FAILED))


@given(
    hostile,
    st.none() | st.lists(hostile, max_size=12),
    st.sampled_from([True, None]),
    st.sampled_from([None, rotation(State.UNKNOWN)]),
)
@pytest.mark.fault("F28")
def test_cards_hold_slacks_limits_and_stay_inert(
    reason: str,
    databases: list[str] | None,
    exists: bool | None,  # noqa: FBT001 - hypothesis draws it
    last: Rotation | None,
) -> None:
    look = GroupInfo(exists, None if databases is None else tuple(databases))
    message = card.ask(ConfirmationPrompt(rotation(State.REQUESTED, reason, group="g" * 64), look, GroupWorld(last)))

    assert inert(message)
    assert [element["value"] for element in message.blocks[-2]["elements"]] == ["62xrejy87vfv9"] * 2


@pytest.mark.parametrize(
    "message",
    [
        card.usage(None),
        card.usage(()),
        card.usage([GroupName("g" * 64)] * 500),
        *(refusal.refused(Refused("No.", each, GroupName("g" * 64)), ALICE) for each in Refusal),
        refusal.no_such_group(NoSuchGroup(GroupName("paymnets"), (GroupName("payments"),))),
        card.in_progress(rotation(State.ROTATING), ALICE),
        refusal.other_failure(DatabaseUnavailable("The database does not answer.")),
        refusal.other_failure(NoSuchRotation()),
        refusal.misunderstood(UsageError("That is not a group name.")),
        refusal.bug(UnexpectedError("0badc0de")),
    ],
)
def test_every_answer_holds_slacks_limits(message: Message) -> None:
    assert inert(message)


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (Refusal.NOT_ALLOWED, "allow it: `turso-rotate allow add U0ALICE01 --team T012AB3CD --group payments`"),
        (Refusal.NO_TOKEN, "An operator of this bot can set one for this group in `TURSO_GROUP_TOKENS`."),
        (Refusal.OWN_DATABASE, "An operator of this bot can move its database out of the group."),
        (Refusal.OWN_DATABASE, "`turso group tokens invalidate payments`, and then give the bot new access"),
        (Refusal.OTHER_WORKSPACE, "Ask somebody in the workspace that runs this bot."),
        (Refusal.NOT_YOURS, "Anyone allowed to rotate it can request it again: `/turso-rotate &lt;group&gt;`"),
        (Refusal.OTHER, "An operator of this bot can tell you more."),
    ],
)
def test_a_refusal_says_whom_to_ask(why: Refusal, words: str) -> None:
    refused = refusal.refused(Refused("No.", why, GroupName("payments")), ALICE)

    assert refused.text.startswith(":no_entry: No. Nothing was done; the attempt is recorded.\n")
    assert words in refused.text


@pytest.mark.parametrize(
    "error", [AlreadyDecided(rotation(State.EXPIRED)), ChangedMeanwhile("Others were faster."), NoSuchRotation()]
)
def test_every_failure_has_words(error: BotError) -> None:
    assert str(error).endswith((".", "?"))
