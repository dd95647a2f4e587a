"""What people ask of history is read, and what it holds is shown, whatever is in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock

from bot.domain.errors import DatabaseUnavailable, OutdatedButton, Refused, UnreadableRow, UsageError
from bot.domain.events import Action, Event, RecordedEvent, TrailHead
from bot.domain.grants import Grant, Role
from bot.domain.history import Cursor, EntryKey, HistoryEntry, HistoryQuery, Home, Page, RequestStatus, Story
from bot.domain.models import Actor, ChannelId, GrantId, GroupName, Organization, Rotation, RotationId, TeamId, UserId
from bot.domain.periods import Period
from bot.domain.states import State
from bot.sandbox.block_kit import message_problems, view_problems
from bot.slack.blocks import VALUE_LIMIT, Block
from bot.slack.history import cursor, pages, stories
from bot.slack.history.command import parse
from bot.slack.history.wording import ACTIONS, STATUS_LABELS, duration, facts
from bot.slack.home import view

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
READER = UserId("U0ALICE01")
ALICE = Actor(TeamId("T012AB3CD"), READER)
BOB = UserId("U0B0B0002")
HEAD = TrailHead(12, "5f" * 32)
HOSTILE = [
    "<!channel>", "<https://evil.example|ledger>", "<@U0ALICE01|bob>", "`x`", "*b*", "&amp;", "```", "a\x00b", "",
    "\u202eevil", "\u2066\u200b\ufeff", "שלום", "x" * 10_000, "💥" * 10_000, "<" * 10_000, "\n" * 3000,
]  # fmt: skip
OURS = re.compile(r"<@[UW][A-Z0-9]+>|<#[CG][A-Z0-9]+>|<!date\^[0-9]+\^\{date_short_pretty} \{\w+}\|[-0-9: UTC]+>")
TREACHEROUS = re.compile("[\x00\u200b\u202e\u2066\ufeff]")

hostile = st.one_of(st.text(), st.sampled_from(HOSTILE))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it
actors = st.builds(Actor, st.builds(TeamId, hostile), st.builds(UserId, hostile | st.just(READER)))
judged = st.sampled_from([None, State.SUCCEEDED, State.FAILED])
keys = st.builds(EntryKey, moments, hostile)
asked = st.builds(
    HistoryEntry,
    key=keys,
    actor=actors,
    group=st.none() | st.builds(GroupName, hostile),
    status=st.sampled_from(RequestStatus),
    reason=hostile,
    explanation=hostile,
    seconds=st.none() | st.floats(0, 1e9),
    rotation_id=st.none() | st.builds(RotationId, hostile),
    resolved_as=judged,
)
read_pages = st.builds(
    Page, st.lists(asked, max_size=12), st.none() | keys, st.none() | keys, narrowed=st.none() | hostile
)
rotations = st.builds(
    Rotation,
    id=st.builds(RotationId, hostile),
    organization=st.builds(Organization, hostile),
    group=st.builds(GroupName, hostile),
    requester=actors,
    channel_id=st.builds(ChannelId, hostile | st.sampled_from(["C0INCIDENT", "D0BOB"])),
    reason=hostile,
    state=st.sampled_from(State),
    requested_at=moments,
    expires_at=moments,
    resolved_as=judged,
)
details = st.dictionaries(hostile, hostile | st.integers() | st.lists(hostile, max_size=2), max_size=5)
events = st.builds(
    Event,
    action=st.sampled_from(Action),
    actor=actors,
    organization=st.builds(Organization, hostile),
    detail=details,
)
recorded = st.builds(RecordedEvent, st.integers(1), moments, events, hostile, hostile)
grants = st.builds(
    Grant,
    id=st.builds(GrantId, st.integers(1)),
    actor=actors,
    pattern=hostile,
    until=st.none() | moments,
    note=hostile,
    granted_at=moments,
    granted_by=actors,
    role=st.sampled_from(Role),
)
wanteds = st.builds(
    HistoryQuery,
    group=st.none() | st.builds(GroupName, st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")),
    person=st.none() | st.just(BOB),
    outcome=st.none() | st.sampled_from(RequestStatus),
    period=st.none()
    | st.sampled_from(["30m", "24h", "7d", "9999w", "2026-10-01", "2026-10-01..2026-10-31", "..2026-10-31"]).map(
        Period
    ),
)
known_keys = st.builds(EntryKey, moments, st.from_regex(r"\A(#[0-9]{1,18}|[0-9a-z]{13})\Z"))
bookmarked = st.builds(Cursor, wanteds, st.none() | known_keys, st.none() | known_keys)


def many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Draw a few, and repeat them up to a thousand times."""
    return st.builds(lambda few, times: few * times, st.lists(one, max_size=3), st.sampled_from([1, 4, 400]))


def texts(part: object) -> Iterator[tuple[str, str]]:
    """Find what is shown: mrkdwn or plain text, and the text."""
    if isinstance(part, list):
        for each in part:
            yield from texts(each)
    elif isinstance(part, dict):
        if part.get("type") in {"mrkdwn", "plain_text"} and isinstance(part.get("text"), str):
            yield part["type"], part["text"]
        yield from texts(list(part.values()))


def inert(blocks: list[Block]) -> bool:
    """Say whether no foreign text became a mention, a link, a broadcast or a trick, and Slack's own models agree."""
    shown = list(texts(blocks))
    live = [text for kind, text in shown if kind == "mrkdwn" and re.search("[<>]", OURS.sub("", text))]
    tricks = [text for _, text in shown if TREACHEROUS.search(text)]
    again = [each.to_dict() for each in SdkBlock.parse_all(blocks)]
    return (live, tricks, again) == ([], [], blocks)


def ask(text: str) -> HistoryQuery | None:
    return parse(text, READER)


@pytest.mark.parametrize("text", ["help", " HELP ", "--help", "?"])
def test_help_asks_for_help(text: str) -> None:
    assert ask(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", HistoryQuery()),
        ("payments", HistoryQuery(group=GroupName("payments"))),
        ("<@U0B0B0002|bob>", HistoryQuery(person=BOB)),
        ("<@U0B0B0002|bob the builder>", HistoryQuery(person=BOB)),
        ("<@U0B0B0002>", HistoryQuery(person=BOB)),
        ("U0B0B0002", HistoryQuery(person=BOB)),
        ("me", HistoryQuery(person=READER)),
        ("Failed", HistoryQuery(outcome=RequestStatus.FAILED)),
        ("group:failed", HistoryQuery(group=GroupName("failed"))),
        ("group:7d failed", HistoryQuery(group=GroupName("7d"), outcome=RequestStatus.FAILED)),
        ("WAREHOUSE", HistoryQuery(group=GroupName("WAREHOUSE"))),
        (
            "7d denied <@U0B0B0002|bob> payments",
            HistoryQuery(GroupName("payments"), BOB, RequestStatus.DENIED, Period("7d")),
        ),
        (
            "payments  2026-10-01..2026-10-31",
            HistoryQuery(group=GroupName("payments"), period=Period("2026-10-01..2026-10-31")),
        ),
    ],
)
def test_the_words_are_read_in_any_order(text: str, wanted: HistoryQuery) -> None:
    assert ask(text) == wanted


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ("24h", NOW - timedelta(days=1), None),
        ("7d", NOW - timedelta(days=7), None),
        ("2w", NOW - timedelta(days=14), None),
        ("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)),
        ("2026-10-01..2026-10-31", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-10-01..", datetime(2026, 10, 1, tzinfo=UTC), None),
        ("..2026-10-31", None, datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_days_are_utc_and_the_last_is_included(period: str, since: datetime | None, until: datetime | None) -> None:
    wanted = ask(period)

    assert wanted is not None
    assert wanted.period is not None
    assert wanted.period.between(NOW) == (since, until)


@pytest.mark.parametrize("period", ["2026-02-30", "2026-10-31..2026-10-01", "9999-12-31", "0000-01-01.."])
def test_days_that_cannot_be_are_refused(period: str) -> None:
    with pytest.raises(UsageError, match="There is no such period"):
        ask(period)


@pytest.mark.parametrize("text", ["payments default", "me <@U0B0B0002>", "failed unknown", "7d 2026-10-01"])
def test_each_is_named_once_at_most(text: str) -> None:
    with pytest.raises(UsageError, match="Name only one"):
        ask(text)


@pytest.mark.parametrize(
    "text",
    ["@bob", "<!channel>", "<#C0AUDIT|audit>", "<https://evil.example|payments>", "..", "a/b", "💥", "\u202epay", "`x`",
     "pay\x00", "&lt;b&gt;", "group:", "group:<!here>", "x" * 65, "\u0667d", "<@U0B0B0002", "7d;--"],
)  # fmt: skip
def test_what_means_nothing_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(UsageError, match="Word 2 is") as refused:
        ask(f"payments {text} failed")

    assert text not in str(refused.value)
    assert inert(list(pages.failed(refused.value).blocks))


@given(hostile)
def test_reading_words_never_fails_otherwise(text: str) -> None:
    try:
        wanted = ask(text)
    except UsageError:
        return
    if wanted is not None:
        assert cursor.read(cursor.write(Cursor(wanted))).query == wanted


@given(bookmarked)
def test_a_bookmark_is_read_back_as_it_was_written(bookmark: Cursor) -> None:
    written = cursor.write(bookmark)

    assert cursor.read(written) == bookmark
    assert len(written) <= VALUE_LIMIT


@pytest.mark.parametrize(
    "parts",
    [
        {"person": "<!channel>"},
        {"person": "unknown"},
        {"group": "../x"},
        {"outcome": "splendid"},
        {"period": "for ever"},
        {"before": [NOW.isoformat(), "#99999999999999999999"]},
        {"after": ["yesterday", "62xrejy87vfv9"]},
    ],
)
def test_a_bookmark_with_a_forged_part_is_refused(parts: dict[str, object]) -> None:
    with pytest.raises(OutdatedButton):
        cursor.read(json.dumps(parts))


json_values = st.recursive(
    st.none() | st.integers() | st.text() | st.just(NOW.isoformat()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "group", "before"]), inner),
)
FIELDS = ["group", "person", "outcome", "period", "before", "after"]


@given(
    st.one_of(
        hostile,
        st.sampled_from(["[" * 1999, '{"outcome":[]}', '{"before":["0001-01-01T00:00:00+14:00","x"]}', "1" * 1999]),
        st.dictionaries(st.sampled_from(FIELDS), json_values).map(json.dumps),
    )
)
def test_a_forged_bookmark_is_refused_or_asks_for_what_anybody_may_ask_for(text: str) -> None:
    try:
        bookmark = cursor.read(text)
    except OutdatedButton:
        return
    assert cursor.read(cursor.write(bookmark)) == bookmark
    assert all(
        key is None or re.fullmatch(r"#[0-9]{1,18}|[\w-]{1,64}", key.id) for key in (bookmark.before, bookmark.after)
    )


@given(read_pages, wanteds)
def test_any_page_holds_slacks_limits_and_stays_inert(page: Page, wanted: HistoryQuery) -> None:
    message = pages.show(page, wanted)

    assert message_problems(list(message.blocks)) == []
    assert inert(list(message.blocks))
    assert not re.search("[<>]", OURS.sub("", message.text))


@given(rotations, many(recorded))
def test_any_story_holds_slacks_limits_and_stays_inert(rotation: Rotation, rows: list[RecordedEvent]) -> None:
    modal = stories.show(Story(rotation, rows))

    assert view_problems(modal) == []
    assert inert(modal["blocks"])


@given(
    st.builds(
        Home,
        page=read_pages,
        pending=many(rotations),
        patterns=many(hostile),
        allowlist=st.none() | many(grants),
        groups=many(st.builds(GroupName, hostile)) | st.just([GroupName(f"g{number}") for number in range(1000)]),
        head=st.just(HEAD),
    ),
    bookmarked,
    hostile,
)
def test_any_home_tab_holds_slacks_limits_and_stays_inert(home: Home, bookmark: Cursor, notice: str) -> None:
    tab = view.show(home, bookmark, notice)

    assert view_problems(tab) == []
    assert inert(tab["blocks"])
    assert cursor.read(tab["private_metadata"]) == bookmark


@pytest.mark.parametrize("error", [Refused("No <!here>."), DatabaseUnavailable("It is away."), UsageError("<!here>?")])
def test_every_failure_can_be_shown_in_each_place(error: Refused | DatabaseUnavailable | UsageError) -> None:
    wanted = HistoryQuery(group=GroupName("payments"))
    tab = view.failed(error, Cursor(wanted))

    assert view_problems(tab) == view_problems(stories.failed(error)) == view_problems(stories.loading()) == []
    for blocks in (tab["blocks"], stories.failed(error)["blocks"], list(pages.failed(error).blocks)):
        assert inert(blocks)
    assert message_problems(list(pages.usage().blocks)) == message_problems(list(pages.not_opened().blocks)) == []
    assert inert(list(pages.usage().blocks))


@pytest.mark.parametrize("text", ["💥" * 10_000, "<" * 10_000, "x " * 5000])
def test_the_most_of_everything_fits(text: str) -> None:
    who, group = Actor(ALICE.team_id, UserId(text)), GroupName(text)
    request = Rotation(
        RotationId(text[:64]), Organization(text), group, who, ChannelId(text), text, State.UNKNOWN, NOW, NOW
    )
    row = RecordedEvent(1, NOW, Event(Action.REQUESTED, who, request.organization, detail={text: text}), text, text)
    one = HistoryEntry(EntryKey(NOW, text), who, group, RequestStatus.DENIED, text, text, 1.0, request.id)
    grant = Grant(GrantId(1), who, text, NOW, text, NOW, who)
    names = [GroupName(f"{number:064}") for number in range(1000)]
    bookmark = Cursor(
        HistoryQuery(GroupName("g" * 64), BOB, RequestStatus.UNKNOWN, Period("7d")), EntryKey(NOW, "a" * 64)
    )
    home = Home(
        Page([one] * 1000, one.key, one.key, text), [request] * 1000, [text] * 1000, [grant] * 1000, names, HEAD
    )

    assert view_problems(view.show(home, bookmark, text)) == []
    assert view_problems(stories.show(Story(request, [row] * 1000))) == []
    assert message_problems(list(pages.show(home.page, bookmark.query).blocks)) == []


def test_every_action_and_every_outcome_has_words() -> None:
    assert set(ACTIONS) == set(Action)
    assert set(STATUS_LABELS) == set(RequestStatus)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (9.7, "10 s"),
        (59, "59 s"),
        (65, "1 min 5 s"),
        (3599.6, "1 h 0 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_request_shows_its_reason_and_not_what_its_card_showed() -> None:
    databases = {"count": 1, "names": ["ledger"]}

    assert facts({"channel": "C1", "databases": databases, "expires_in": 300, "reason": "leak"}) == "Reason: leak"


def test_what_was_judged_stays_unknown() -> None:
    one = HistoryEntry(
        EntryKey(NOW, "a"), ALICE, GroupName("payments"), RequestStatus.UNKNOWN, "", "", resolved_as=State.FAILED
    )
    shown = [text for _, text in texts(list(pages.show(Page([one], None, None), HistoryQuery()).blocks))]

    assert ":warning: *unknown*, judged *failed* · `payments`" in shown


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    rotation = Rotation(
        RotationId("a"), Organization("acme"), GroupName("payments"), ALICE, ChannelId("C0INCIDENT"), "",
        State.FAILED, NOW, NOW,
    )  # fmt: skip
    rows = [
        RecordedEvent(seq, NOW, Event(Action.DENIED, ALICE, rotation.organization), "", "") for seq in range(1, 100)
    ]
    shown = "".join(text for _, text in texts(stories.show(Story(rotation, rows))["blocks"]))

    assert re.findall(r"Row (\d+)", shown) == [str(seq) for seq in (*range(1, 11), *range(90, 100))]
    assert "… 79 more rows …" in shown


@pytest.mark.fault("F53")
def test_rows_that_cannot_be_read_are_named_wherever_the_others_are_shown() -> None:
    rotation = Rotation(
        RotationId("a"), Organization("acme"), GroupName("payments"), ALICE, ChannelId("C0INCIDENT"), "",
        State.FAILED, NOW, NOW,
    )  # fmt: skip
    lost = [UnreadableRow("Rotation", f"<{number}>" * 20, "its detail is not JSON") for number in range(200)]
    page = Page([], None, None, unreadable=lost)
    home = Home(page, [], ["*"], [], [], HEAD, [UnreadableRow("Grant", 7, "its until is not a time")])
    shown = [
        list(pages.show(page, HistoryQuery()).blocks),
        stories.show(Story(rotation, [], lost))["blocks"],
        view.show(home, Cursor())["blocks"],
    ]
    few = view.show(replace(home, page=Page([], None, None)), Cursor())["blocks"]

    for blocks in shown:
        (told,) = [text for _, text in texts(blocks) if "cannot be read" in text]
        assert "Rotation &lt;0&gt;" in told
        assert re.search(r"19[56] more cannot be read\. An operator can find out", told)
        assert not any("No requests found" in text for _, text in texts(blocks))
    assert any("Grant 7 cannot be read: its until is not a time." in text for _, text in texts(few))
    assert view_problems(view.show(home, Cursor())) == []


def test_menus_show_anew_whatever_was_chosen() -> None:
    home = Home(Page([], None, None), [], ["*"], None, [GroupName("payments")], HEAD)
    views = [
        view.show(home, Cursor(HistoryQuery(group=group))) for group in (None, GroupName("payments"), GroupName("old"))
    ]
    menus = [next(block for block in view["blocks"] if "block_id" in block) for view in views]

    assert len({menu["block_id"] for menu in menus}) == 3  # under the same id Slack would keep the old choice
    assert [menu["elements"][0]["initial_option"]["value"] for menu in menus] == ["*", "payments", "old"]
    assert all(menu["elements"][0]["initial_option"] in menu["elements"][0]["options"] for menu in menus)
