"""Law 4: absence denies, and one rule decides at the command and at every press."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.grants import Grant, Role
from bot.domain.models import (
    Actor,
    ChannelId,
    GrantId,
    GroupInfo,
    GroupName,
    Organization,
    Rotation,
    RotationId,
    TeamId,
    UserId,
)
from bot.domain.policy import NO_STORY, NOT_YOURS, OTHER_WORKSPACE, Policy, refuses_lockout
from bot.domain.states import State

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)
TEAM = TeamId("T012AB3CD")
ALICE, BOB = Actor(TEAM, UserId("U0ALICE01")), Actor(TEAM, UserId("U0B0B0002"))
OUTSIDER = Actor(TeamId("T0OTHER99"), UserId("U0ALICE01"))
OPERATOR = Actor.on_terminal("root")
PAYMENTS = GroupName("payments")
GRANT = Grant(GrantId(1), ALICE, "payments", None, "", NOW - DAY, OPERATOR)
ROTATION = Rotation(
    id=RotationId("r1"),
    organization=Organization("acme"),
    group=PAYMENTS,
    requester=ALICE,
    channel_id=ChannelId("C0INCIDENT"),
    reason="",
    state=State.REQUESTED,
    requested_at=NOW,
    expires_at=NOW + DAY,
)


def policy(*grants: Grant) -> Policy:
    return Policy(TEAM, grants, NOW)


@pytest.mark.law(4)
def test_an_empty_allowlist_allows_nobody() -> None:
    refused = policy().refuses_request(ALICE, PAYMENTS)
    assert (str(refused), refused and refused.group) == ("You are not on the allowlist for payments.", PAYMENTS)


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [
        (GRANT, True),
        (replace(GRANT, pattern="pay*"), True),
        (replace(GRANT, pattern="PAYMENTS"), False),
        (replace(GRANT, pattern="payment"), False),
        (replace(GRANT, until=NOW + DAY), True),
        (replace(GRANT, until=NOW), False),
        (replace(GRANT, revoked_at=NOW, revoked_by=OPERATOR), False),
        # The clock stepped back since.
        (replace(GRANT, granted_at=NOW + DAY), True),
        (replace(GRANT, granted_at=NOW + DAY, revoked_at=NOW + DAY, revoked_by=OPERATOR), False),
        (replace(GRANT, actor=BOB), False),
        (replace(GRANT, actor=OUTSIDER), False),
    ],
)
def test_a_grant_covers_what_it_says_and_no_more(grant: Grant, *, allowed: bool) -> None:
    assert (policy(grant).refuses_request(ALICE, PAYMENTS) is None) is allowed
    assert (policy(grant).refuses_press(ALICE, ROTATION) is None) is allowed


def test_another_team_is_refused_whatever_is_granted() -> None:
    granted = policy(replace(GRANT, actor=OUTSIDER))

    assert str(granted.refuses_request(OUTSIDER, PAYMENTS)) == OTHER_WORKSPACE
    assert str(granted.refuses_press(OUTSIDER, ROTATION)) == OTHER_WORKSPACE


def test_somebody_else_may_not_press_even_if_allowed() -> None:
    assert str(policy(GRANT, replace(GRANT, actor=BOB)).refuses_press(BOB, ROTATION)) == NOT_YOURS


def test_the_grant_that_lasts_longest_is_the_one_that_counts() -> None:
    short, long = replace(GRANT, until=NOW + DAY), replace(GRANT, id=GrantId(2), pattern="*")

    assert policy(short, long).grant_for(ALICE, PAYMENTS) == long


@pytest.mark.parametrize(
    ("hosts", "look", "refused"),
    [
        ((), GroupInfo(exists=None, databases=None), False),
        (("db.example.org",), GroupInfo(exists=None, databases=None), False),
        (("db.example.org", "Bot-Acme.turso.io."), GroupInfo(exists=None, databases=None), True),
        (
            ("bot-acme.turso.io",),
            GroupInfo(exists=True, databases=("ledger",), hostnames=("ledger-acme.turso.io",)),
            False,
        ),
        (
            ("a", "bot-acme.turso.io"),
            GroupInfo(exists=True, databases=("bot",), hostnames=("bot-acme.turso.io",)),
            True,
        ),
    ],
)
@pytest.mark.fault("F35")
def test_the_group_of_the_bots_own_database_is_refused(
    hosts: tuple[str, ...], look: GroupInfo, *, refused: bool
) -> None:
    assert (refuses_lockout(look, hosts, PAYMENTS) is not None) is refused


AUDIT = replace(GRANT, id=GrantId(3), pattern="*", role=Role.AUDIT)
LEDGER = GroupName("ledger")


@pytest.mark.parametrize(
    ("grants", "seen"),
    [
        ([], {"her own"}),
        ([AUDIT], {"her own", "on payments", "on ledger", "on no group"}),
        ([GRANT], {"her own", "on payments"}),
        ([replace(GRANT, pattern="*")], {"her own", "on payments", "on ledger"}),
        ([GRANT, AUDIT], {"her own", "on payments", "on ledger", "on no group"}),
        ([replace(AUDIT, until=NOW)], {"her own"}),
        ([replace(AUDIT, revoked_at=NOW, revoked_by=OPERATOR), GRANT], {"her own", "on payments"}),
        ([replace(AUDIT, actor=BOB), replace(GRANT, actor=BOB)], {"her own"}),
        ([replace(AUDIT, actor=OUTSIDER)], {"her own"}),
    ],
)
def test_who_sees_which_requests(grants: list[Grant], seen: set[str]) -> None:
    visibility = policy(*grants).visibility(ALICE)
    requests = {
        "her own": (ALICE, LEDGER),
        "on payments": (BOB, PAYMENTS),
        "on ledger": (OUTSIDER, LEDGER),
        "on no group": (BOB, None),
    }

    assert {name for name, (actor, group) in requests.items() if visibility.includes(actor, group)} == seen


def test_an_auditor_rotates_nothing_by_it() -> None:
    assert str(policy(AUDIT).refuses_request(ALICE, PAYMENTS)) == "You are not on the allowlist for payments."


@pytest.mark.parametrize(
    ("grants", "group", "person", "words"),
    [
        ([], None, None, None),
        ([], None, ALICE, None),
        ([], PAYMENTS, ALICE, None),
        ([], PAYMENTS, None, "You may not read the history of payments, only that of your own requests."),
        ([], None, BOB, "You may only read the history of your own requests."),
        ([GRANT], PAYMENTS, BOB, None),
        ([GRANT], None, BOB, None),
        ([GRANT], LEDGER, None, "You may not read the history of ledger, only that of your own requests."),
        ([GRANT], LEDGER, ALICE, None),
        ([AUDIT], LEDGER, BOB, None),
        ([replace(AUDIT, until=NOW)], None, BOB, "You may only read the history of your own requests."),
    ],
)
def test_who_may_ask_for_what(
    grants: list[Grant], group: GroupName | None, person: Actor | None, words: str | None
) -> None:
    refused = policy(*grants).refuses_reading(ALICE, group, None if person is None else person.user_id)

    assert (refused and str(refused)) == words


def test_a_story_is_told_to_those_who_see_the_request() -> None:
    assert policy().refuses_story(ALICE, ROTATION) is None
    assert str(policy().refuses_story(BOB, ROTATION)) == NO_STORY
    assert policy(replace(GRANT, actor=BOB)).refuses_story(BOB, ROTATION) is None
    assert policy(replace(AUDIT, actor=BOB)).refuses_story(BOB, ROTATION) is None


def test_another_team_reads_nothing_whatever_is_granted() -> None:
    granted = policy(replace(AUDIT, actor=OUTSIDER), replace(GRANT, actor=OUTSIDER))
    own = replace(ROTATION, requester=OUTSIDER)

    assert str(granted.refuses_reading(OUTSIDER, None, None)) == OTHER_WORKSPACE
    assert str(granted.refuses_story(OUTSIDER, own)) == OTHER_WORKSPACE
    assert not granted.visibility(OUTSIDER).includes(BOB, PAYMENTS)
