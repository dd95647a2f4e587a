"""Who may talk to the page's server: its own page, on this machine. No browser is needed to ask."""

from aiohttp import ClientSession, hdrs

from bot.sandbox.page import Page
from bot.sandbox.sandbox import Stage

TROUBLE = {"as": "U0ALICE01", "trouble": "hangs"}


HOSTS = ("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}")
ORIGINS = (None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1")
NONSENSE: tuple[tuple[str, object, int], ...] = (
    ("do/nothing", {}, 400),
    ("do/type", {"as": "U0NOBODY"}, 400),
    ("do/type", {"as": "U0ALICE01"}, 409),
    ("do/type", {"as": "U0ALICE01", "text": "hello", "channel": "C0NOWHERE"}, 409),
    ("do/use", {"as": "U0ALICE01", "channel": "C0INCIDENT", "ts": "1.1"}, 409),
    ("do/submit", {"as": "U0ALICE01", "view": "V0"}, 409),
    ("do/trouble", {"as": "U0ALICE01", "trouble": "war"}, 409),
    ("do/type", [], 400),
    ("static/..%2fpage.py", None, 404),
    ("static/app.py", None, 404),
)


async def test_a_foreign_host_is_refused(page: Page) -> None:
    async with ClientSession() as browser:
        for host in HOSTS:
            for path in ("", "stage", "events?as=U0ALICE01", "static/app.js"):
                async with browser.get(page.url + path, headers={"Host": host.format(port=page.port)}) as answer:
                    assert answer.status == 403, (host, path)


async def test_a_foreign_origin_changes_nothing(page: Page, stage: Stage) -> None:
    async with ClientSession() as browser:
        for origin in ORIGINS:
            headers = {} if origin is None else {"Origin": origin.format(port=page.port)}
            async with browser.post(f"{page.url}do/trouble", json=TROUBLE, headers=headers) as answer:
                assert answer.status == 403, origin

    assert stage.trouble == "none"


async def test_the_page_itself_is_served_with_a_strict_policy(page: Page, stage: Stage) -> None:
    origin = {"Origin": page.url.rstrip("/")}
    async with ClientSession() as browser:
        async with browser.get(page.url) as answer:
            policy = answer.headers["Content-Security-Policy"]
            text = await answer.text()
        async with browser.post(f"{page.url}do/trouble", json=TROUBLE, headers=origin) as answer:
            assert answer.status == 200

    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in text.replace("http://www.w3.org", "")
    assert stage.trouble == "hangs"


async def test_nonsense_is_answered_with_a_no(page: Page) -> None:
    headers = {"Origin": page.url.rstrip("/")}
    async with ClientSession() as browser:
        for path, said, status in NONSENSE:
            method = hdrs.METH_GET if said is None else hdrs.METH_POST
            async with browser.request(method, page.url + path, json=said, headers=headers) as answer:
                assert answer.status == status, path
