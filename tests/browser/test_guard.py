"""Who may talk to the page's server: its own page, on this machine. No browser is needed to ask."""

import pytest
from aiohttp import ClientSession, hdrs

from bot.sandbox.page import PageServer
from bot.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="session")  # of the browser, which all tests share

FAILURE = {"as": "U0ALICE01", "mode": "hangs"}


HOSTS = ("evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}")
ORIGINS = (None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1")
NONSENSE: tuple[tuple[str, object, int], ...] = (
    ("actions/nothing", {}, 400),
    ("actions/type", {"as": "U0NOBODY"}, 400),
    ("actions/type", {"as": "U0ALICE01"}, 409),
    ("actions/type", {"as": "U0ALICE01", "text": "hello", "channel": "C0NOWHERE"}, 409),
    ("actions/use", {"as": "U0ALICE01", "channel": "C0INCIDENT", "ts": "1.1"}, 409),
    ("actions/submit", {"as": "U0ALICE01", "view": "V0"}, 409),
    ("actions/set_failure_mode", {"as": "U0ALICE01", "mode": "war"}, 409),
    ("actions/type", [], 400),
    ("static/..%2fpage.py", None, 404),
    ("static/app.py", None, 404),
)


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    shared_sandbox.set_failure_mode("none")
    return shared_sandbox


async def test_a_foreign_host_is_refused(page: PageServer) -> None:
    async with ClientSession() as browser:
        for host in HOSTS:
            for path in ("", "sandbox", "events?as=U0ALICE01", "static/app.js"):
                async with browser.get(page.url + path, headers={"Host": host.format(port=page.port)}) as answer:
                    assert answer.status == 403, (host, path)


async def test_a_foreign_origin_changes_nothing(page: PageServer, sandbox: Sandbox) -> None:
    async with ClientSession() as browser:
        for origin in ORIGINS:
            headers = {} if origin is None else {"Origin": origin.format(port=page.port)}
            async with browser.post(f"{page.url}actions/set_failure_mode", json=FAILURE, headers=headers) as answer:
                assert answer.status == 403, origin

    assert sandbox.failure_mode == "none"


async def test_the_page_itself_is_served_with_a_strict_policy(page: PageServer, sandbox: Sandbox) -> None:
    origin = {"Origin": page.url.rstrip("/")}
    async with ClientSession() as browser:
        async with browser.get(page.url) as answer:
            policy = answer.headers["Content-Security-Policy"]
            text = await answer.text()
        async with browser.post(f"{page.url}actions/set_failure_mode", json=FAILURE, headers=origin) as answer:
            assert answer.status == 200

    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in text.replace("http://www.w3.org", "")
    assert sandbox.failure_mode == "hangs"


async def test_nonsense_is_answered_with_a_no(page: PageServer) -> None:
    headers = {"Origin": page.url.rstrip("/")}
    async with ClientSession() as browser:
        for path, said, status in NONSENSE:
            method = hdrs.METH_GET if said is None else hdrs.METH_POST
            async with browser.request(method, page.url + path, json=said, headers=headers) as answer:
                assert answer.status == status, path
