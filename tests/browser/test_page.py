"""The page itself: links, keys, colours, sizes, and text that must stay text."""

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from bot.sandbox.messages import Content
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Audience
from tests.browser.conftest import Browsers, Screen

pytestmark = pytest.mark.asyncio(loop_scope="session")  # of the browser, which all tests share

HOSTILE = (
    "<!channel> <@U0ALICE01> <script>document.title='hacked'</script> <img src=x onerror=alert(1)> "
    "`code` *bold* <https://evil.example|payments> \u202eesrever\u202c"
)
PHONE = 860  # pixels, and less: one pane at a time
WIDER = """() => [document.body, ...document.querySelectorAll('.scroll, .kit')]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.className)"""
READ = "h1, h2, h3, b, small, code, time, button, .text, .topic, .service-state, .chip span, .status, .plain"
CONTRAST = """(read) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const back = rgb(getComputedStyle(each).backgroundColor);
      if (back.length === 3 || back[3] === 1) return back;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll(read)) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !node.checkVisibility({ opacityProperty: true }) || node.disabled) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([node.className, node.textContent, ratio]);
  }
  return poor;
}"""


async def settled(screen: Screen) -> None:
    """Fill a channel, with animations that are over."""
    await screen.tab.emulate_media(reduced_motion="reduce")
    await screen.types("/turso-rotate payments key leaked in CI log")
    await screen.presses("Rotate tokens", await screen.sees("Rotate the tokens of payments?"))
    await screen.sees("Done: the tokens of payments are rotated")
    await screen.has_trail("rotation.succeeded")


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    shared_sandbox.set_failure_mode("none")
    return shared_sandbox


async def test_a_link_leads_to_a_person_and_a_channel(browsers: Browsers) -> None:
    bob = await browsers.opens("bob", "C0AUDIT")

    await expect(bob.tab.locator("h1").first).to_have_text("# audit-log")
    await expect(bob.tab.locator("#you")).to_have_text("as bob")
    await bob.acts_as("mallory")
    await expect(bob.tab).to_have_url(re.compile("as=mallory&channel=C0AUDIT"))
    await bob.tab.get_by_role("link", name="incident").click()
    await bob.tab.go_back()
    await expect(bob.tab.locator("h1").first).to_have_text("# audit-log")


async def test_everything_works_with_the_keyboard(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    keys = alice.tab.keyboard
    await alice.tab.locator("#text").focus()
    await keys.type("/tu")
    await expect(alice.tab.get_by_role("option", selected=True)).to_contain_text("<group> [reason]")
    await keys.press("ArrowDown")
    await expect(alice.tab.get_by_role("option", selected=True)).to_contain_text("help")
    await keys.press("ArrowUp")
    await keys.press("Tab")
    await keys.type("pay")
    await keys.press("Enter")
    await expect(alice.tab.locator("#text")).to_have_value("/turso-rotate payments ")
    await keys.type("leaked")
    await keys.press("Enter")
    await alice.sees("Rotate the tokens of payments?", "leaked")
    button = alice.message("Rotate the tokens").get_by_role("button", name="Rotate tokens")
    for _ in range(12):
        await keys.press("Shift+Tab")
        if await button.evaluate("node => node === document.activeElement"):
            break
    assert await button.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    await keys.press("Enter")

    await alice.sees("Done: the tokens of payments are rotated")


async def test_escape_closes_the_completion_and_enter_sends(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await alice.tab.locator("#slash").click()
    await expect(alice.tab.get_by_role("option")).to_have_count(3)
    await alice.tab.keyboard.press("Escape")
    await expect(alice.tab.get_by_role("listbox")).to_be_hidden()
    await alice.types("/nonsense")

    await alice.sees("Slackbot", "/nonsense is not a valid command.", "Only visible to you")


async def test_hostile_text_stays_text(browsers: Browsers, sandbox: Sandbox) -> None:
    alice, before = await browsers.opens("alice"), sandbox.turso.calls_to_rotate()
    await alice.types(HOSTILE)
    said = await alice.sees("<!channel>", "<script>")
    await expect(said.locator(".mention, a, img[src=x], script")).to_have_count(0)
    await alice.types(f"/turso-rotate default {HOSTILE}")  # the other tests rotate payments, which its card would say
    card = await alice.sees("Rotate the tokens of default?", "Reason: <!channel>")

    await expect(card.locator(".mention, a, img[src=x], script")).to_have_count(0)
    await expect(card).to_contain_text("<script>document.title='hacked'</script>")
    assert "\u202e" not in await card.inner_text()
    await expect(alice.tab).not_to_have_title("hacked")
    await alice.types("/turso-rotate <script>alert(1)</script>`<!here>`")
    await alice.sees("That is not a group name")
    assert sandbox.turso.calls_to_rotate() == before


async def test_mrkdwn_reads_as_in_slack(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice", timezone_id="Asia/Tokyo")
    text = (
        "*bold `in code` too* _slanted_ ~gone~ 2*3*4 snake_case_name :warning: :nosuch: &lt;b&gt; <@U0B0B0002> "
        "<#C0AUDIT> <!here> <https://turso.tech|Turso> <javascript:alert(1)|bad> "
        "<!date^1700000000^{date_short} {time}|then>\n&gt; quoted\n```let a = &lt;b&gt;;```"
    )
    sandbox.slack.workspace.post(Audience("C0INCIDENT"), Content(text), via="chat.postMessage")
    message = await alice.sees("bold")

    await expect(message.locator("b code")).to_have_text("in code")
    await expect(message.locator("i")).to_have_text("slanted")
    await expect(message.locator("s")).to_have_text("gone")
    await expect(message).to_contain_text("2*3*4 snake_case_name ⚠️ :nosuch: <b>")
    await expect(message.locator(".mention")).to_have_text(["@bob", "#audit-log", "@here"])
    await expect(message.locator("a:not(.mention)")).to_have_attribute("href", "https://turso.tech")
    await expect(message).to_contain_text("bad")
    await expect(message.locator(".text time")).to_have_text("Nov 15, 2023 7:13 AM")
    await expect(message.locator("blockquote")).to_have_text("quoted")
    await expect(message.locator("pre")).to_have_text("let a = <b>;")


async def test_light_and_dark_can_both_be_read(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await settled(alice)
    backs = []
    for scheme in ("light", "dark"):
        await alice.tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        backs.append(await alice.tab.locator(".chat").evaluate("node => getComputedStyle(node).backgroundColor"))
        assert await alice.tab.evaluate(CONTRAST, READ) == []

    assert backs == ["rgb(255, 255, 255)", "rgb(26, 29, 33)"]


async def test_nothing_is_wider_than_the_screen(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await settled(alice)
    await alice.types("/turso-rotate payments " + "long" * 60)
    await alice.sees("Reason: longlong")
    for width in (340, 390, 800, 1000, 1360):
        await alice.tab.set_viewport_size({"width": width, "height": 760})
        for pane in ("side", "chat", "inspector"):
            if width <= PHONE:
                await alice.tab.locator(f".tabs [data-to={pane}]").click()
            assert await alice.tab.evaluate(WIDER) == [], (width, pane)


async def test_on_a_phone_each_side_has_its_pane(browsers: Browsers) -> None:
    alice = await browsers.opens("alice", viewport={"width": 390, "height": 844}, has_touch=True)
    await expect(alice.tab.locator(".side")).to_be_hidden()
    await alice.tab.get_by_role("button", name="Channels").tap()
    await alice.tab.get_by_role("link", name="audit-log").tap()
    await expect(alice.tab.locator("h1").first).to_have_text("# audit-log")
    await alice.tab.get_by_role("button", name="Inspector").tap()

    await expect(alice.tab.get_by_role("heading", name="Audit trail")).to_be_visible()
    await expect(alice.tab.locator(".chat")).to_be_hidden()


async def test_a_choice_stands_until_the_sandbox_has_taken_it_or_has_not(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    held: asyncio.Queue[Route] = asyncio.Queue()
    await alice.tab.route("**/actions/set_failure_mode", held.put)
    chosen, before = (alice.tab.get_by_role("radio", name=name) for name in ("Turso hangs", "No failure"))
    await chosen.check()
    await alice.types("/turso-rotate help")
    await alice.sees("How to use")  # a picture that knows nothing of the choice
    await expect(chosen).to_be_checked()
    await (await held.get()).continue_()
    await expect(alice.tab.locator("body")).to_have_attribute("data-failure-mode", await chosen.input_value())
    await before.check()
    await (await held.get()).abort()

    await expect(alice.tab.locator("#toast")).to_have_text("The sandbox could not do this.")
    await expect(chosen).to_be_checked()
    alice.complaints[:] = [each for each in alice.complaints if "ERR_FAILED" not in each]  # of what was broken off
