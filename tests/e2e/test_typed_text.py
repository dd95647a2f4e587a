"""People type the right thing in the wrong way: blanks, quotes, words that are no group, and tokens."""

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from tests.e2e.conftest import ALICE, BOB, MALLORY, Trail, asks, id_on, read_trail
from tests.process import BotProcess, run
from tests.tokens import TOKENS, pieces

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

ZOE = Person("U0ZOE0006", "zoe")
"""May rotate what begins with `pay`, unlike Alice and Bob, who may rotate everything."""
BLANKS = {
    "a no-break space": "\u00a0",
    "a narrow no-break space": "\u202f",
    "an ideographic space": "\u3000",
    "a thin space": "\u2009",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "a tab": "\t",
    "a line break": "\n",
    "a line break of Windows": "\r\n",
    "a next line": "\x85",
    "several of them": " \u00a0\t \r\n\u3000 ",
    "a Hangul filler": "\u3164",
}
INVISIBLE = [
    "\u200b",
    "\ufeff",
    "\u200e",
    "\u200f",
    "\u061c",
    "\u00ad",
    "\u2060",
    "\u202a",
    "\u2068",
    "\ufe0f",
    "\u200d",
]
GROUPS = {"payments": ("ledger", "invoices"), "default": (), "prod-eu": ("geo",), "a_b": (), "Case": (), "case": ()}
WRAPPED = [
    "#payments", "@payments", '"payments"', "'payments'", "\u201cpayments\u201d", "\u2018payments\u2019",
    "\u201epayments\u201c", "\u201apayments\u2018", "\u00abpayments\u00bb", "\u2039payments\u203a",
    "\u300cpayments\u300d", "`payments`", "```payments```", "\u00b4payments\u00b4", "payments:", "payments,",
    "payments.", "payments;", "payments!", "payments\u2026", "<payments>", "&lt;payments&gt;", "*payments*",
    "_payments_", "~payments~", "*_payments_*", "(payments)", "[payments]", "{payments}", "\uff08payments\uff09",
    "\uff50ayments", "\uff50\uff41\uff59ments", "payments\uff1a", "\u00ab payments \u00bb",
    "\u00ab\u202fpayments\u202f\u00bb", "# payments", "<#C024BE7LH|payments>", "Payments", "PAYMENTS", "`Payments`",
    "group:payments", "Group:payments", "\u200bpayments\u200b", "payments\u200e",
]  # fmt: skip


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups=GROUPS) as organization:
        yield organization


@pytest.fixture
async def people(settings: dict[str, str], tmp_path: Path) -> None:
    """Put Zoe on the allowlist."""
    grant = ("allow", "add", ZOE.user_id, "--team", ZOE.team_id, "--group", "pay*")
    assert (await run(settings, tmp_path, *grant))[0] == 0


async def told(slack: LocalSlack, person: Person, text: str, *words: str) -> PostedMessage:
    """Type a command, and return the answer, which has these words."""
    since = len(slack.messages)
    await slack.types(person, text)
    return await slack.sees(person, *words, since=since, timeout=10)


@pytest.mark.fault("F61")
async def test_blanks_of_every_kind_part_group_and_reason(slack: LocalSlack, bot: BotProcess) -> None:
    for blank in BLANKS.values():
        card = await told(slack, ALICE, f"/turso-rotate payments{blank}key{blank}leaked", "of payments?", "Reason: key")
        page = await told(slack, ALICE, f"/turso-audit requested{blank}payments{blank}7d", "History")

        assert "leaked" in card.plain, repr(blank)
        assert "Showing: `payments` · requested · the last 7 days" in page.plain, repr(blank)
    for mark in INVISIBLE:
        card = await told(slack, ALICE, f"/turso-rotate {mark}payments {mark}key leaked", "of payments?")
        page = await told(slack, ALICE, f"/turso-audit {mark}payments{mark} {mark}7d", "History")

        assert "Reason: key leaked" in card.plain, repr(mark)
        assert "Showing: `payments` · the last 7 days" in page.plain, repr(mark)


@pytest.mark.fault("F62")
async def test_a_group_is_recognised_in_whatever_it_is_wrapped(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str]
) -> None:
    for typed in WRAPPED:
        card = await told(slack, ALICE, f"/turso-rotate {typed} key leaked", "Rotate the tokens of payments?")
        assert "Reason: key leaked" in card.plain, typed
    for typed, group in {
        "prod\u2013eu": "prod-eu",
        "PROD\u2014EU": "prod-eu",
        "_a_b_": "a_b",
        "Case": "Case",
        "case": "case",
    }.items():
        await told(slack, ALICE, f"/turso-rotate {typed}", f"Rotate the tokens of {group}?")
    glued = await told(slack, ALICE, "/turso-rotate payments:key leaked", "Rotate the tokens of payments?")
    help_ = [
        await told(slack, ALICE, f"/turso-rotate {typed}", "How to use")
        for typed in ("HELP", "Help", "--HELP", "\u2014help", "help!")
    ]

    assert "Reason: key leaked" in glued.plain
    assert len(help_) == 5
    recorded = await read_trail(settings)
    assert {each.event.group for each in recorded if each.event.rotation_id} == {
        "payments",
        "prod-eu",
        "a_b",
        "Case",
        "case",
    }


@pytest.mark.fault("F62")
async def test_what_means_no_group_or_several_is_answered_with_the_mark_that_offends(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    for typed, words in {
        "`paymnets`": "backtick (U+0060)",
        "pay/ments": "slash (/)",
        "pay\u200bments": "U+200B",
        "\u202estnemyap": "U+202E",
        "\u0440ayments": "cyrillic small letter er",
        "-payments": "starts with a dash",
        "p" * 65: "65 characters",
        "\U0001f525": "U+1F525",
    }.items():
        answer = await told(slack, ALICE, f"/turso-rotate {typed}", "That is not a group name", words)
        assert "Usage: `/turso-rotate <group> [reason]`" in answer.plain, typed
    close = await told(slack, ALICE, "/turso-rotate `paymnets`", "Did you mean `payments`?")
    ambiguous = await told(slack, ALICE, "/turso-rotate CASE", "CASE")
    strangers = await told(slack, MALLORY, "/turso-rotate `payments`", "That is not a group name", "backtick (U+0060)")

    assert "Did you mean `payments`?" in close.plain
    assert "`Case` or `case`" in ambiguous.plain or "`case` or `Case`" in ambiguous.plain
    assert "Did you mean" not in strangers.plain
    assert turso.calls_to_rotate() == 0
    assert set(await trail()) == {"rotation.rejected"}


@pytest.mark.usefixtures("people")
@pytest.mark.fault("F62")
async def test_a_refusal_recommends_nothing_that_leads_nowhere(slack: LocalSlack, bot: BotProcess) -> None:
    spelled = await told(slack, MALLORY, "/turso-rotate Payments", "not on the allowlist")
    missing = await told(slack, MALLORY, "/turso-rotate Paymnets", "not on the allowlist")
    either = await told(slack, MALLORY, "/turso-rotate CASE", "not on the allowlist")
    allowed = await told(slack, ZOE, "/turso-rotate apyments", "not on the allowlist", "Did you mean `payments`?")
    other = await told(slack, ZOE, "/turso-rotate prod-e", "not on the allowlist")
    resolved = await told(slack, ZOE, "/turso-rotate PAYMENTS", "Rotate the tokens of payments?")

    assert "--group payments`" in spelled.plain
    for answer in (missing, either, allowed, other):
        assert "allow add" not in answer.plain
    for answer in (spelled, missing, either, other):
        assert "Did you mean" not in answer.plain
    assert resolved.buttons


@pytest.mark.fault("F62")
async def test_a_list_that_cannot_be_read_leaves_what_was_typed(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    await turso.go_offline()
    typed = await told(slack, ALICE, "/turso-rotate Payments", "Rotate the tokens of Payments?")
    marked = await told(slack, ALICE, "/turso-rotate `payments`", "That is not a group name", "backtick (U+0060)")
    worded = await told(slack, ALICE, "/turso-rotate rotate payments", "only the name", "`/turso-rotate payments`")
    refused = await told(
        slack, MALLORY, "/turso-rotate Payments", "allow add U0MALL003 --team T012AB3CD --group Payments"
    )

    assert "Could not ask Turso whether this group exists." in typed.plain
    assert not marked.buttons
    assert not worded.buttons
    assert refused.ephemeral_to == MALLORY.user_id


@pytest.mark.usefixtures("people")
@pytest.mark.fault("F63")
async def test_words_that_name_no_group_are_answered_with_how_to_write_it(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    for word in ("list", "LIST", "status", "Groups", "ls"):
        usage = await told(slack, ZOE, f"/turso-rotate {word}", "How to use", "You may rotate `payments`.")
        assert "default" not in usage.plain
    for word in ("rotate", "Revoke", "invalidate", "group", "reset", "rotate the group", "rotate all tokens of"):
        await told(slack, ALICE, f"/turso-rotate {word} payments", "`/turso-rotate payments`")
    await told(slack, MALLORY, "/turso-rotate rotate payments", "`/turso-rotate payments`")
    recorded = await trail()
    both = await told(slack, ALICE, "/turso-rotate payments default", "Rotate the tokens of payments?")
    first = await told(slack, ALICE, "/turso-rotate payments and Default, please", "Rotate the tokens of payments?")
    plain = await told(slack, ALICE, "/turso-rotate payments by default", "Rotate the tokens of payments?")
    hidden = await told(slack, ZOE, "/turso-rotate payments default", "Rotate the tokens of payments?")

    assert set(recorded) == {"rotation.rejected"}
    for card in (both, first):
        assert "*Only `payments` is rotated.* `default` was read as the reason." in card.plain
    assert "was read as the reason" not in plain.plain
    assert "was read as the reason" not in hidden.plain, "Zoe may not rotate it"


@pytest.mark.fault("F63")
async def test_a_group_that_is_called_like_a_command_is_rotated(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    turso.organization.groups |= {"status": (), "rotate": ()}
    await told(slack, ALICE, "/turso-rotate status", "Rotate the tokens of status?")
    card = await told(slack, ALICE, "/turso-rotate rotate payments", "Rotate the tokens of rotate?")
    usage = await told(slack, MALLORY, "/turso-rotate status", "How to use")

    assert "*Only `rotate` is rotated.* `payments` was read as the reason." in card.plain
    assert "status" not in usage.plain.partition("How to use")[2]


@pytest.mark.usefixtures("people")
@pytest.mark.fault("F63")
async def test_a_database_is_told_from_a_group_to_those_who_may_rotate_it(slack: LocalSlack, bot: BotProcess) -> None:
    answers = [
        await told(
            slack,
            person,
            f"/turso-rotate {typed}",
            "`ledger` is a database in the group `payments`",
            "`/turso-rotate payments`",
        )
        for person, typed in ((ALICE, "ledger"), (ALICE, "Ledger"), (ALICE, "`ledger`"), (ZOE, "ledger"))
    ]
    plain = [await told(slack, ZOE, "/turso-rotate geo", "not on the allowlist for geo")]
    plain += [
        await told(slack, MALLORY, f"/turso-rotate {name}", f"not on the allowlist for {name}")
        for name in ("ledger", "nodb")
    ]

    assert all(not answer.buttons for answer in answers)
    assert all("database" not in answer.plain and "allow add" not in answer.plain for answer in plain)
    assert plain[1].plain.replace("ledger", "nodb") == plain[2].plain


@pytest.mark.fault("F63")
async def test_typos_do_not_become_groups(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    await asks(slack, ALICE, "payments")
    await told(slack, ALICE, "/turso-rotate paymnets", "no group called")
    await told(slack, MALLORY, "/turso-rotate paymnets", "not on the allowlist")
    typo = await told(
        slack, ALICE, "/turso-audit paymnets", "no history of a group called paymnets", "Did you mean payments?"
    )
    case = await told(slack, ALICE, "/turso-audit PAYMENTS", "Showing: `payments`")
    _, counted, _ = await run(settings, tmp_path, "audit", "stats", "--format", "json")
    stats = await run(settings, tmp_path, "audit", "stats", "--group", "paymnets")
    listed = await run(settings, tmp_path, "audit", "list", "--group", "Payments")
    shown = await run(settings, tmp_path, "audit", "show", "--group", "paymnets")
    quiet = await run(settings, tmp_path, "audit", "list", "--group", "payments", "--period", "2020-01-01")

    assert "Showing" not in typo.plain
    assert case.ephemeral_to == ALICE.user_id
    assert {row["group"] for row in json.loads(counted)} == {"payments", None}
    for code, _, err in (stats, listed, shown):
        assert (code, "Did you mean payments?" in err) == (0, True)
    assert (quiet[0], "Did you mean" in quiet[2]) == (0, False)


@pytest.mark.usefixtures("people")
@pytest.mark.fault("F63")
async def test_words_about_history_mean_what_people_mean(slack: LocalSlack, bot: BotProcess) -> None:
    await asks(slack, ALICE, "payments key leaked")
    for text, words in {
        "today": "Showing: today (UTC)",
        "Yesterday": "Showing: yesterday (UTC)",
        "7D": "Showing: the last 7 days",
        "success": "Showing: succeeded",
        "Successful": "Showing: succeeded",
        "ok": "Showing: succeeded",
        "fail": "Showing: failed",
        "failures": "Showing: failed",
        "canceled": "Showing: cancelled",
        "this week": "looks like a time",
        "last month": "looks like a time",
        "monday": "looks like a time",
        "2026-10": "looks like a time",
        "refused": "denied",
        "errors": "unknown",
    }.items():
        answer = await told(slack, ALICE, f"/turso-audit {text}", words)
        assert answer.plain.startswith("History") == words.startswith("Showing"), text


@pytest.mark.usefixtures("people")
@pytest.mark.fault("F63")
async def test_an_id_shows_the_story_to_those_who_may_read_it(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str]
) -> None:
    rotation = id_on(await asks(slack, ALICE, "prod-eu key leaked"))
    for text in (rotation, rotation.upper()):
        story = await told(slack, BOB, f"/turso-audit {text}", "Requested the rotation", "Reason: key leaked")
        assert rotation in story.plain
    hidden = [await told(slack, person, f"/turso-audit {rotation}", "You may not read") for person in (MALLORY, ZOE)]
    nowhere = [await told(slack, person, "/turso-audit 0123456789abc", "You may not read") for person in (MALLORY, ZOE)]
    rows = [each.event for each in await read_trail(settings) if each.event.action == "history.denied"]

    assert [each.plain.replace(rotation, "…") for each in hidden] == [
        each.plain.replace("0123456789abc", "…") for each in nowhere
    ]
    facts = [
        (row.actor, row.group is None, json.dumps(row.detail).replace(rotation, "…").replace("0123456789abc", "…"))
        for row in rows
    ]
    assert facts[:2] == facts[2:]


@pytest.mark.fault("F64")
async def test_a_typed_token_is_kept_and_shown_nowhere(
    slack: LocalSlack, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    warning = "You typed something that looks like a token."
    for text, _ in TOKENS.values():
        alone = "That looks like a token, not a group" if len(text.split()) == 1 else ""
        await told(slack, ALICE, f"/turso-rotate {text}", alone, warning, "treat it as leaked")
        await told(slack, ALICE, f"/turso-audit {text}", warning, "treat it as leaked")
        await told(slack, MALLORY, f"/turso-rotate payments {text}", "not on the allowlist", warning)
        await told(slack, BOB, f"/turso-rotate payments {'x ' * 240}{text}", "of payments?", warning)
        await told(slack, ALICE, f"/turso-rotate payments leaked: {text}", "of payments?", warning, "[redacted]")
    card = slack.visible_to(ALICE)[-1]
    await slack.presses(ALICE, card, "rotation:confirm")
    await slack.sees(None, "rotated the tokens of", "Reason: leaked:", "[redacted]", channel="C0AUDIT")
    _, exported, _ = await run(settings, tmp_path, "audit", "export")
    places = {"log": bot.output, "export": exported, "Slack": "\n".join(map(str, slack.calls)), "rows": kept(settings)}

    found = [
        (kind, place)
        for kind, (_, secret) in TOKENS.items()
        for place in places
        if any(piece in places[place] for piece in pieces(secret))
    ]
    assert found == []
    assert "[redacted]" in places["rows"]


@pytest.mark.fault("F64")
async def test_a_token_in_a_note_is_masked_at_the_terminal_too(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    turso.inject(FixedResponse(500), times=1)
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, "rotation:confirm")
    await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated")
    text, secret = TOKENS["slack bot"]
    note = ("--note", f"printed {text}")
    allowed = await run(
        settings, tmp_path, "allow", "add", MALLORY.user_id, "--team", MALLORY.team_id, "--group", "x", *note
    )
    judged = await run(settings, tmp_path, "audit", "resolve", id_on(card), "--as", "failed", *note)
    announced = await slack.sees(None, "judged that the rotation", channel="C0AUDIT", timeout=8)

    for code, _, err in (allowed, judged):
        assert (code, "You typed something that looks like a token." in err, "treat it as leaked" in err) == (
            0,
            True,
            True,
        )
    assert "Note: printed [redacted]" in announced.plain
    assert not [piece for piece in pieces(secret) if piece in kept(settings)]


def kept(settings: dict[str, str]) -> str:
    """Everything that the database holds."""
    with sqlite3.connect(settings["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        return "\n".join(connection.iterdump())
