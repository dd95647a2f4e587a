"""What somebody does who tries the bot for the first time, in a real browser."""

import pytest
from playwright.async_api import expect

from bot.sandbox.sandbox import Sandbox
from tests.browser.conftest import Browsers

pytestmark = pytest.mark.asyncio(loop_scope="session")  # of the browser, which all tests share

TYPED = "/turso-rotate payments key leaked in CI log"
CARD = "Rotate the tokens of payments?"
DONE = "Done: the tokens of payments are rotated"


async def test_an_allowed_person_rotates(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.has_service("checkout-api", "works")
    await alice.types(TYPED)
    card = await alice.sees(CARD, "key leaked in CI log", "Only visible to you")
    await alice.presses("Rotate tokens", card)
    done = await alice.sees(DONE, "turso group tokens create payments")

    await expect(done.locator("[data-action]")).to_have_count(0)
    await expect(alice.tab.locator("#messages > li")).to_have_count(1)  # the card changed in place
    await alice.has_service("checkout-api", "rejected")
    await alice.has_service("ledger-export", "works")
    await alice.has_trail("rotation.requested", "rotation.started", "rotation.succeeded")
    await expect(alice.tab.locator("#requests .rotates .status")).to_have_text("200")
    assert sandbox.turso.calls_to_rotate("payments") == 1


async def test_a_service_gets_a_new_token(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)
    await alice.presses("Rotate tokens", await alice.sees(CARD))
    await alice.has_service("checkout-api", "rejected")
    await alice.tab.get_by_role("button", name="Redeploy checkout-api").click()

    await alice.has_service("checkout-api", "works")
    await alice.has_service("billing-worker", "rejected")
    assert sandbox.turso.calls_to_rotate() == 1


@pytest.mark.parametrize("name", ["mallory", "gus"])
async def test_a_stranger_is_refused(browsers: Browsers, sandbox: Sandbox, name: str) -> None:
    stranger = await browsers.opens(name)
    await stranger.types("/turso-rotate payments")

    await stranger.sees("Nothing was done; the attempt is recorded")
    await stranger.has_trail("rotation.denied")
    await stranger.has_service("checkout-api", "works")
    assert {request.method for request in sandbox.turso.requests} <= {"GET"}


async def test_somebody_allowed_for_one_group_may_rotate_that_one_only(browsers: Browsers, sandbox: Sandbox) -> None:
    bob = await browsers.opens("bob")
    await bob.types("/turso-rotate payments")
    await bob.sees("not on the allowlist for payments")
    await bob.types("/turso-rotate default")
    await bob.sees("Rotate the tokens of default?")

    await bob.has_trail("rotation.denied", "rotation.requested")
    assert sandbox.turso.calls_to_rotate() == 0


async def test_nobody_else_sees_or_presses_the_card(browsers: Browsers, sandbox: Sandbox) -> None:
    alice, bob = await browsers.opens("alice"), await browsers.opens("bob")
    await alice.types(TYPED)
    card = await alice.sees(CARD)
    ts = await card.get_attribute("data-ts")
    await bob.types("/turso-rotate help")
    await bob.sees("How to use")
    stolen = {"as": "U0B0B0002", "channel": "C0INCIDENT", "ts": ts, "block_id": "b6", "action_id": "rotation:confirm"}
    answer = await bob.tab.request.post(
        f"{browsers.url}actions/use", data=stolen, headers={"Origin": browsers.url.rstrip("/")}
    )

    assert answer.status == 409
    assert CARD not in await bob.tab.locator("body").inner_text()
    assert sandbox.turso.calls_to_rotate() == 0


async def test_cancel_settles_the_card(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)
    await alice.presses("Cancel", await alice.sees(CARD))

    cancelled = await alice.sees("Cancelled. The tokens of payments were not touched.")
    await expect(cancelled.get_by_role("button")).to_have_count(0)
    await alice.has_trail("rotation.requested", "rotation.cancelled")
    assert sandbox.turso.calls_to_rotate() == 0


@pytest.mark.parametrize("confirm_seconds", [1])
async def test_a_card_that_nobody_presses_expires(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)

    expired = await alice.sees("The request to rotate payments expired.", "Nothing was done")
    await expect(expired.get_by_role("button")).to_have_count(0)
    await alice.has_trail("rotation.requested", "rotation.expired")


async def test_the_bot_is_killed_between_card_and_click(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)
    card = await alice.sees(CARD)
    before = sandbox.bot.pid
    await alice.tab.get_by_role("button", name="Kill the bot").click()
    await expect(alice.tab.locator("body")).not_to_have_attribute("data-ready", "up")
    await alice.up()
    await alice.presses("Rotate tokens", card)

    await alice.sees(DONE)
    assert sandbox.bot.pid != before
    assert sandbox.turso.calls_to_rotate("payments") == 1


@pytest.mark.parametrize(
    ("failure", "outcome", "action", "state"),
    [
        ("Turso hangs", "Unknown: the tokens of payments may have been rotated", "rotation.unknown", "rejected"),
        ("Turso answers 500", "Unknown: the tokens of payments may have been rotated", "rotation.unknown", "rejected"),
        ("Turso answers 401", "Failed: the tokens of payments were not rotated", "rotation.failed", "works"),
        ("Turso answers 404", "Failed: the tokens of payments were not rotated", "rotation.failed", "works"),
    ],
)
async def test_a_failure_at_turso(
    browsers: Browsers, sandbox: Sandbox, failure: str, outcome: str, action: str, state: str
) -> None:
    alice = await browsers.opens("alice")
    await alice.chooses_failure(failure)
    await alice.types(TYPED)
    await alice.presses("Rotate tokens", await alice.sees(CARD))

    await alice.sees(outcome)
    await alice.has_trail("rotation.requested", "rotation.started", action)
    await alice.has_service("checkout-api", state)
    assert sandbox.turso.calls_to_rotate("payments") == 1


async def test_what_slack_drops_is_recorded_all_the_same(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)
    card = await alice.sees(CARD)
    await alice.chooses_failure("Slack drops replies")
    await alice.presses("Rotate tokens", card)

    await alice.has_trail("rotation.requested", "rotation.started", "rotation.succeeded")
    await alice.has_service("checkout-api", "rejected")
    assert sandbox.turso.calls_to_rotate("payments") == 1


async def test_two_browsers_see_the_same_channel(browsers: Browsers) -> None:
    alice, bob = await browsers.opens("alice"), await browsers.opens("bob", "C0AUDIT")
    await alice.types("Who rotates?")
    await alice.types(TYPED)
    await alice.presses("Rotate tokens", await alice.sees(CARD))

    await bob.sees("@alice rotated the tokens of payments", "key leaked in CI log")
    await bob.has_service("checkout-api", "rejected")
    await bob.tab.get_by_role("link", name="incident").click()
    await bob.sees("alice", "Who rotates?")
    await expect(bob.tab.locator("#messages > li")).to_have_count(1)  # Alice's card is hers


async def test_a_reload_keeps_history_but_not_ephemerals(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await alice.types("We have a leak.")
    await alice.types(TYPED)
    await alice.sees(CARD)
    await alice.acts_as("bob")
    await expect(alice.tab.get_by_text(CARD)).to_have_count(0)
    await alice.acts_as("alice")
    await alice.sees(CARD)  # nobody reloaded so far
    await alice.tab.reload()
    await alice.up()

    await alice.sees("We have a leak.")
    await expect(alice.tab.get_by_text(CARD)).to_have_count(0)
    await expect(alice.tab.locator("#trail > li").first).to_contain_text("rotation.requested")
