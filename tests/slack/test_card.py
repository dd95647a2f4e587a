"""The sentences that people decide by: those of the card, and those of its outcome."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.models import Actor, GroupInfo, GroupWorld, HandRotation, Rotation, TeamId, UserId
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.sandbox.render import render
from bot.slack.blocks import Message
from bot.slack.rotate import card, outcome
from tests.slack.test_rotate_texts import rotation

BOB = Actor(TeamId("T012AB3CD"), UserId("U0B0B0002"))
SEEN = GroupInfo(exists=True, databases=("ledger", "invoices"))
UNSEEN = GroupInfo(exists=None, databases=None)


def shown_card(
    look: GroupInfo = SEEN,
    last: Rotation | None = None,
    reason: str = "",
    *,
    by_hand: HandRotation | None = None,
    waiting: tuple[Rotation, ...] = (),
    instead_of: Rotation | None = None,
) -> str:
    world = GroupWorld(last, by_hand, waiting)
    return shown(card.ask(ConfirmationPrompt(rotation(State.REQUESTED, reason), look, world, instead_of)))


def shown(message: Message) -> str:
    return render(message.text, list(message.blocks), {"U0B0B0002": "bob"})


def test_a_card_says_what_stops_working_and_what_does_not() -> None:
    text = shown_card()

    assert "*Every token minted for the group `payments` in `acme` will stop working*" in text
    assert "every service that uses one fails until it gets a new one. Open connections may drop." in text
    assert "Tokens minted for a *single database* normally stay valid. Only in legacy groups, one key signs" in text


@pytest.mark.parametrize(
    ("databases", "words"),
    [
        ((), "The group has no databases."),
        (("ledger",), "*1 database* in the group: `ledger`\n"),
        (("ledger", "invoices"), "*2 databases* in the group: `ledger`, `invoices`\n"),
        (tuple("abcde"), "*5 databases* in the group: `a`, `b`, `c`, `d`, `e`\n"),
        (tuple("abcdefg"), "*7 databases* in the group: `a`, `b`, `c`, `d`, `e`, …\n"),
        (None, "Could not list the group's databases."),
    ],
    ids=["none", "one", "two", "five", "seven", "unseen"],
)
def test_a_card_counts_the_databases_and_names_the_first(databases: tuple[str, ...] | None, words: str) -> None:
    assert words in shown_card(GroupInfo(exists=True, databases=databases))


def test_a_card_says_when_the_group_was_last_rotated_and_by_whom() -> None:
    last = replace(rotation(State.SUCCEEDED), requester=BOB)

    assert "Last rotated 2026-11-24 03:00 UTC by @bob." in shown_card(last=last)
    assert "Last attempt 2026-11-24 03:00 UTC by @bob (outcome unknown)." in shown_card(
        last=replace(last, state=State.UNKNOWN)
    )
    assert "This bot has not rotated this group before." in shown_card()


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.UNKNOWN, State.ROTATING])
@pytest.mark.fault("F39")
def test_a_card_that_asks_anew_says_what_it_would_end_however_long_ago_that_was(state: State) -> None:
    long_ago = rotation(State.REQUESTED).requested_at - timedelta(days=90)
    last = replace(rotation(state), requester=BOB, started_at=long_ago)
    by_hand = HandRotation(long_ago - timedelta(days=1), BOB, "in the web app")

    text = shown_card(last=last, by_hand=by_hand, instead_of=rotation(State.SUPERSEDED))

    assert "also ends the tokens minted since" in text
    assert "*Rotated by hand 2026-08-25 03:00 UTC, as @bob noted (in the web app).* Rotating again also ends" in text


def test_a_card_repeats_the_reason_and_says_how_long_it_waits() -> None:
    text = shown_card(reason="key leaked: in CI log")

    assert "Reason: key leaked: in CI log" in text
    assert "Reason" not in shown_card()
    assert "Waiting for you until 2026-11-24 03:05 UTC" in text
    assert "Rotation `62xrejy87vfv9`" in text


def test_a_card_says_what_could_not_be_looked_up() -> None:
    blind = "Could not ask Turso whether this group exists. You can rotate it anyway."

    assert blind in shown_card(UNSEEN)
    assert "Could not list the group's databases." in shown_card(UNSEEN)
    assert blind not in shown_card()


def test_a_success_gives_the_command_that_mints_and_says_what_to_redeploy() -> None:
    text = shown(outcome.ended(rotation(State.SUCCEEDED)))

    assert "Done: the tokens of payments are rotated" in text
    assert "*Next:* mint a new token and redeploy every service that used an old one:" in text
    assert "```turso group tokens create payments```" in text


def test_a_failure_says_that_nothing_was_changed_and_why() -> None:
    text = shown(outcome.ended(rotation(State.FAILED, explanation="The rotation was refused (409).")))

    assert "Failed: the tokens of payments were not rotated" in text
    assert "*Nothing was changed* by this attempt." in text
    assert "What happened: The rotation was refused (409)." in text
    assert "turso group tokens create" not in text


def test_a_failure_says_how_to_close_the_leak_without_the_bot() -> None:
    text = shown(outcome.ended(replace(rotation(State.FAILED), detail={"status": 403})))

    assert "```turso group tokens invalidate payments\ncurl -fX POST" in text
    assert "`turso-rotate audit note payments --note TEXT`" in text
    assert "still work" not in text


def test_a_failure_gives_no_command_for_a_group_that_was_not_found() -> None:
    text = shown(outcome.ended(replace(rotation(State.FAILED), detail={"group_missing": True})))

    assert "*Next:* look for the right name with `turso group list`" in text
    assert "invalidate" not in text


def test_an_unknown_outcome_says_how_to_find_out_and_how_to_ask_again() -> None:
    text = shown(outcome.ended(rotation(State.UNKNOWN)))

    assert "To find out" in text
    assert "connect with a token minted for the group before 2026-11-24 03:00:00 UTC" in text
    assert "the group's key was rotated, by this attempt or another" in text
    assert "If it is accepted, nothing is proved" in text
    assert "on purpose" in text
