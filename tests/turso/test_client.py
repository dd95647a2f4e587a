"""What the client for Turso's Platform API does on the wire, and what it makes of every answer."""

import asyncio
import json
import socket
import tracemalloc
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.lease import Lease
from bot.domain.models import GroupInfo, GroupName, Outcome, Target
from bot.domain.ports import Interrupted, Turso
from bot.domain.states import State
from bot.sandbox.faults import CloseConnection, Fault, FixedResponse, Hang
from bot.sandbox.local_turso import DEFAULT_TOKEN, LocalTurso, RequestKind
from bot.sandbox.organization import ApiToken
from bot.turso.answers import TursoAnswer, classify
from bot.turso.bodies import error_message
from bot.turso.client import TursoClient
from tests.faults import GzipBomb, InvalidHttp, ResetOnReuse, SlowDrip, TruncatedBody, TruncatedHeaders

PAYMENTS = GroupName("payments")
READS = ["/v1/organizations/acme/groups", "/v1/organizations/acme/databases?group=payments"]
TELL = "Please tell the bot's operators."
SCOPE = "its API token may lack the scope group:rotate-creds."
NOTHING = "nothing was sent."
MAYBE = "the rotation may have happened."
JWT = "eyJhbGciOiJFZERTQSJ9.eyJhIjoicncifQ.c2lnbmF0dXJl"

Writes = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups={"payments": ("ledger",), "prod-eu": (), "prod-us": ()}) as turso:
        yield turso


def client(url: str, **changes: Any) -> TursoClient:
    settings: dict[str, Any] = {
        "organization": "acme",
        "base_url": url,
        "api_token": DEFAULT_TOKEN,
        "group_tokens": {},
        "timeout": 5,
        "version": "1.2.3",
    }
    return TursoClient(**(settings | changes))


async def rotated(url: str, **changes: Any) -> Outcome:
    async with client(url, **changes) as asked:
        return await asked.rotate(Target.of_group(PAYMENTS), Lease(changes.get("timeout", 5)))


async def looked(url: str, group: str = "payments", **changes: Any) -> GroupInfo:
    async with client(url, **changes) as asked:
        return await asked.group_info(GroupName(group))


@asynccontextmanager
async def served(writes: Writes, scheme: str = "http") -> AsyncIterator[str]:
    """Serve what no well-behaved HTTP server would, once the request was read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await writes(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def told(outcome: Outcome) -> tuple[State, str, int | None]:
    return outcome.state, outcome.explanation, outcome.status


async def test_a_rotation_is_one_plain_request(turso: LocalTurso) -> None:
    outcome = await rotated(turso.url)

    assert told(outcome) == (State.SUCCEEDED, "Turso has invalidated the group tokens of payments.", 200)
    assert 0 < outcome.seconds < 5
    request = turso.requests[0]
    assert (request.method, request.body) == ("POST", b"")
    assert request.path == "/v1/organizations/acme/groups/payments/auth/rotate"
    assert request.headers["Authorization"] == f"Bearer {DEFAULT_TOKEN}"
    assert request.headers["User-Agent"] == "turso-rotate/1.2.3"
    assert request.headers["Accept-Encoding"] == "identity"
    assert [token.name for token in turso.services if token.works] == ["ledger-service"] + [
        f"prod-{each}-service" for each in ("eu", "us")
    ]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Hang(), "There was no complete answer within 0.5 s"),
        (SlowDrip(interval=0.02), "There was no complete answer within 0.5 s"),
        (
            SlowDrip(interval=0.02, answer=b"HTTP/1.1 100 Continue\r\n\r\n" * 9),
            "There was no complete answer within 0.5 s",
        ),
    ],
    ids=["hangs", "drips", "drips for ever"],
)
@pytest.mark.fault("F3")
async def test_silence_and_dripping_end_at_the_deadline(turso: LocalTurso, fault: Fault, why: str) -> None:
    turso.inject(fault)

    outcome = await rotated(turso.url, timeout=0.5)

    assert told(outcome) == (State.UNKNOWN, f"{why}: {MAYBE}", None)
    assert 0.5 <= outcome.seconds < 2
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize(
    "fault",
    [CloseConnection(), TruncatedHeaders(), TruncatedBody(), TruncatedBody(status=404), TruncatedBody(status=500)],
    ids=repr,
)
@pytest.mark.fault("F4")
async def test_an_answer_that_breaks_off_leaves_it_unknown(turso: LocalTurso, fault: Fault) -> None:
    turso.inject(fault)

    outcome = await rotated(turso.url)

    assert told(outcome) == (State.UNKNOWN, f"The connection broke before the answer was complete: {MAYBE}", None)
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F4")
async def test_what_is_not_http_leaves_it_unknown(turso: LocalTurso) -> None:
    turso.inject(InvalidHttp())

    outcome = await rotated(turso.url)

    assert told(outcome) == (State.UNKNOWN, f"The answer was malformed: {MAYBE}", None)
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F4")
async def test_a_connection_closed_before_it_was_read_leaves_it_unknown() -> None:
    async def closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with served(closes) as url:
        outcome = await rotated(url)

    assert told(outcome) == (State.UNKNOWN, f"The connection broke before the answer was complete: {MAYBE}", None)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599])
@pytest.mark.fault("F5")
async def test_a_server_error_leaves_it_unknown(turso: LocalTurso, status: int) -> None:
    turso.inject(FixedResponse(status, b'{"error": "upstream\\nbroke"}', {"Retry-After": "1"}))

    outcome = await rotated(turso.url)

    expected = f"The answer ({status}) proves neither a success nor a refusal: {MAYBE} The answer said: upstream broke"
    assert told(outcome) == (State.UNKNOWN, expected, status)
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize("status", [101, 600, 999])
@pytest.mark.fault("F5")
async def test_a_status_that_does_not_exist_leaves_it_unknown(status: int) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status)
        await reader.read()

    async with served(answers) as url:
        outcome = await rotated(url, timeout=0.5)

    assert outcome.state is State.UNKNOWN
    assert outcome.explanation.endswith(MAYBE)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"Retry-After": "0"},
        # Only the distance counts: the clocks of the two sides need not agree.
        {"Retry-After": "Sun, 06 Nov 1994 08:49:38 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"},
    ],
    ids=["seconds", "zero", "date"],
)
@pytest.mark.fault("F6")
async def test_it_waits_as_long_as_it_is_told_never_less(turso: LocalTurso, headers: dict[str, str]) -> None:
    turso.inject(FixedResponse(429, headers=headers), times=1)

    outcome = await rotated(turso.url)

    first, second = turso.requests
    assert outcome.state is State.SUCCEEDED
    assert 1 <= second.at - first.at < 2
    assert outcome.seconds >= 1


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "3600"}, "in 3600 seconds"),
        ({"Retry-After": "5"}, "in 5 seconds"),  # all of the deadline: no time would be left for the call
        ({"Retry-After": "Sun, 06 Nov 1994 09:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, "in 3600 seconds"),
        ({}, "later"),
        *(
            ({"Retry-After": rubbish, "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, "later")
            for rubbish in ("soon", "-1", "1.5", "1e9", "", "1, 1", "9" * 5000, "Sun, 99 Nov 1994 08:49:37 GMT")
        ),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:38 GMT", "Date": "today"}, "later"),
    ],
)
@pytest.mark.fault("F6")
async def test_a_wait_that_is_too_long_or_rubbish_is_a_failure(
    turso: LocalTurso, headers: dict[str, str], pause: str
) -> None:
    turso.inject(FixedResponse(429, headers=headers))

    outcome = await rotated(turso.url)

    expected = f"The rate of requests is limited (429). Nothing was changed. Try again {pause}."
    assert told(outcome) == (State.FAILED, expected, 429)
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F6")
async def test_being_told_again_and_again_ends_within_the_deadline(turso: LocalTurso) -> None:
    turso.inject(FixedResponse(429, headers={"Retry-After": "0"}))

    outcome = await rotated(turso.url, timeout=1.5)

    assert (outcome.state, outcome.status) == (State.FAILED, 429)
    assert outcome.seconds < 1.5
    assert turso.calls_to_rotate() == 2


REFUSED = "Nothing was changed."
UNPROVEN = "proves neither a success nor a refusal"
PAGE = b"<!DOCTYPE html><title>Blocked</title><p>group not found"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, f"Turso refused the rotation (400). {REFUSED}"),
        (401, f"Turso does not accept the bot's API token (401). {REFUSED} {TELL}"),
        (402, f"Turso refused the rotation (402). {REFUSED}"),
        (403, f"Turso refused the rotation (403). {REFUSED} {TELL[:-1]}: {SCOPE}"),
        (404, f"Turso refused the rotation (404). {REFUSED}"),
        *((status, f"Turso refused the rotation ({status}). {REFUSED}") for status in (405, 410, 413, 414, 415, 422)),
        (431, f"Turso refused the rotation (431). {REFUSED}"),
    ],
)
@pytest.mark.parametrize(
    ("body", "said"),
    [(b'{"error": "not  today"}', "not today"), (b'{"error": {"message": "not today"}}', "not today")],
    ids=["error", "nested"],
)
@pytest.mark.fault("F7", "F40")
async def test_a_refusal_is_a_failure_in_turso_s_own_words(
    turso: LocalTurso, status: int, sentence: str, body: bytes, said: str
) -> None:
    turso.inject(FixedResponse(status, body))

    outcome = await rotated(turso.url)

    assert told(outcome) == (State.FAILED, f"{sentence} Turso said: {said}", status)
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
@pytest.mark.fault("F7", "F42")
async def test_a_refusal_without_a_word_blames_nobody(turso: LocalTurso, status: int) -> None:
    turso.inject(FixedResponse(status))

    outcome = await rotated(turso.url)

    advice = {401: f" {TELL}", 403: f" {TELL[:-1]}: {SCOPE}"}.get(status, "")
    sentence = f"The rotation was refused ({status}), without an explanation. {REFUSED}{advice}"
    assert told(outcome) == (State.FAILED, sentence, status)


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (404, "group not found", "Turso has no group called payments (404)."),
        (404, "no such group: payments", "Turso has no group called payments (404)."),
        (404, "group policy blocks this page", "The rotation was refused (404)."),
        (404, "group members: user not found", "Turso refused the rotation (404)."),
        (404, "organization not found", "Turso refused the rotation (404)."),
        (403, "group-scoped token cannot access this", "Turso does not let the bot's API token do this (403)."),
        (401, "invalid token", "Turso does not accept the bot's API token (401)."),
        (401, "proxy authentication required", "The rotation was refused (401)."),
        (403, "blocked by the egress policy", "The rotation was refused (403)."),
    ],
)
@pytest.mark.fault("F7", "F42")
async def test_a_group_or_a_token_is_blamed_only_if_the_answer_speaks_of_it(
    turso: LocalTurso, status: int, said: str, sentence: str
) -> None:
    turso.inject(FixedResponse(status, json.dumps({"error": said}).encode()))

    outcome = await rotated(turso.url)

    assert outcome.state is State.FAILED
    assert outcome.explanation.startswith(sentence)
    assert outcome.explanation.endswith(f"{'Turso' if sentence.startswith('Turso') else 'The answer'} said: {said}")
    assert ("scope" in outcome.explanation) == (said == "group-scoped token cannot access this")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
@pytest.mark.parametrize(
    "body",
    [
        PAGE,
        b"<h1>403</h1>",
        b"not today",
        b'{"message": "Forbidden"}',
        b"{}",
        b'{"error": null}',
        b'{"error": ""}',
        b"[1]",
        b'"error"',
        b'{"error": "cut',
        b'\xff{"error": "no"}',
        b'{"error": "' + b"x" * 70_000 + b'"}',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.fault("F40", "F42", "F6")
async def test_what_turso_did_not_clearly_say_is_unknown(turso: LocalTurso, status: int, body: bytes) -> None:
    turso.inject(FixedResponse(status, body, {"Retry-After": "1"}))

    outcome = await rotated(turso.url)

    assert (outcome.state, outcome.status) == (State.UNKNOWN, status)
    assert MAYBE in outcome.explanation
    assert not {"scope", "no group", "Turso refused", "does not let"} & {
        words for words in ("scope", "no group", "Turso refused", "does not let") if words in outcome.explanation
    }
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F42")
async def test_a_page_is_said_to_come_from_something_in_between(turso: LocalTurso) -> None:
    turso.inject(FixedResponse(403, PAGE))

    between = "Something between the bot and Turso answered with a web page (403)"
    assert told(await rotated(turso.url)) == (State.UNKNOWN, f"{between}: {MAYBE}", 403)


@pytest.mark.parametrize("status", [408, 409, 418, 421, 423, 424, 425, 426, 428, 444, 451, 460, 494, 499])
@pytest.mark.parametrize("body", [b"", b'{"error": "no"}'], ids=["empty", "error"])
@pytest.mark.fault("F40")
async def test_a_status_that_proves_no_refusal_leaves_it_unknown(turso: LocalTurso, status: int, body: bytes) -> None:
    turso.inject(FixedResponse(status, body))

    outcome = await rotated(turso.url)

    assert (outcome.state, outcome.status) == (State.UNKNOWN, status)
    assert outcome.explanation.startswith(f"The answer ({status}) {UNPROVEN}: {MAYBE}")
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.fault("F7", "F40")
async def test_a_redirect_is_never_followed_and_proves_nothing(turso: LocalTurso, status: int) -> None:
    async with LocalTurso() as elsewhere:
        turso.inject(FixedResponse(status, headers={"Location": f"{elsewhere.url}/v1"}))
        outcome = await rotated(turso.url)

    expected = f"The answer was a redirect ({status}), which the bot never follows: {MAYBE}"
    assert told(outcome) == (State.UNKNOWN, expected, status)
    assert elsewhere.requests == []
    assert turso.calls_to_rotate() == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((200, body) for body in (b"", b" \r\n", b"{}", b'{"message": "done"}', b'{"error": null}', b"null", b"[]")),
        *((200, body) for body in (b"true", b'{"status": "ok"}', b'{"errors": []}', b'{"failed": false, "code": 200}')),
        *(
            (200, body)
            for body in (b'{"success": true, "message": "Tokens invalidated."}', b'{"group": {"name": "x"}}')
        ),
        (204, b""),
    ],
)
@pytest.mark.fault("F41")
async def test_an_unmistakable_yes_is_a_success(turso: LocalTurso, status: int, body: bytes) -> None:
    turso.inject(FixedResponse(status, body))

    assert told(await rotated(turso.url))[::2] == (State.SUCCEEDED, status)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((200, body) for body in (PAGE, b'{"error": "no"}', b'{"errors": ["no"]}', b'{"success": false}')),
        *((200, body) for body in (b'{"status": "error"}', b'{"message": "Forbidden"}', b'{"failed": true}', b"1")),
        *((200, body) for body in (b'{"fault": {"code": 3}}', b'{"success": "false"}', b'{"ok": 1}', b'{"code": 0}')),
        *((200, body) for body in (b'{"result": {"error": "no"}}', b'[{"error": "no"}]', b'{"statusCode": 500}')),
        *((200, body) for body in (b'{"errorMessage": "rotation failed"}', b'["forbidden"]', b'{"rotated": false}')),
        *((200, body) for body in (b'{"message": "Nothing was rotated"}', b'{"queued": true}', b'{"failed_count": 3}')),
        *((200, body) for body in (b'{"message": "0 tokens rotated"}', b'{"dry_run": true, "status": "ok"}')),
        *((200, body) for body in (b'{"error": "boom", "error": null}', b'{"body": "{\\"error\\": \\"forbidden\\"}"}')),
        *((200, body) for body in (b'{"message": "completed with warnings"}', b'{"message": "tokens active"}')),
        *(
            (200, body)
            for body in (b'{"statuscode": 503, "rotation": "scheduled"}', b'{"in_progress": true}', b'["x"]')
        ),
        *((200, body) for body in (b'{"not_rotated": true}', b'{"changed": false}', b'{"data": "queued"}', b"[" * 600)),
        *((200, body) for body in (b"[" * 600 + b"]" * 600, b'{"rotated": 1}', b'{"status": true}')),
        *((200, body) for body in (b'{"detail": "not done"}', b'{"status_text": "Unsuccessful"}', b'{"state": null}x')),
        *((200, body) for body in (b"OK", b'"denied"', b"false", b"\xff{rubbish", b'{"a": 1', b'{"Error": "no"}')),
        *((status, body) for status in (201, 202, 203, 205, 206, 207, 226, 299) for body in (b"", b"{}")),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else str(value),
)
@pytest.mark.fault("F41")
async def test_a_2xx_that_does_not_say_yes_is_unknown(turso: LocalTurso, status: int, body: bytes) -> None:
    turso.inject(FixedResponse(status, body))

    outcome = await rotated(turso.url)

    assert (outcome.state, outcome.status) == (State.UNKNOWN, status)
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F43")
async def test_a_rate_limit_without_an_end_is_tried_three_times(turso: LocalTurso) -> None:
    turso.inject(FixedResponse(429, headers={"Retry-After": "0"}))

    outcome = await rotated(turso.url, timeout=30)

    tries = [request.at for request in turso.requests]
    assert (outcome.state, outcome.status, len(tries)) == (State.FAILED, 429, 3)
    assert all(after - before >= 1 for before, after in pairwise(tries))


@pytest.mark.fault("F6")
async def test_a_retry_that_is_not_sent_leaves_the_refusal(turso: LocalTurso) -> None:
    answered = asyncio.Event()
    turso.inject(FixedResponse(429, headers={"Retry-After": "1"}))
    async with client(turso.url, observe=lambda *_: answered.set()) as asked:
        rotating = asyncio.create_task(asked.rotate(Target.of_group(PAYMENTS), Lease(5)))
        await answered.wait()
        await turso.go_offline()
        outcome = await rotating

    expected = "The rate of requests is limited (429). Nothing was changed. Try again in 1 seconds."
    assert told(outcome) == (State.FAILED, expected, 429)


@pytest.mark.parametrize("clock", [0, 1], ids=["since boot", "wall"])
@pytest.mark.fault("F44")
async def test_a_lease_that_does_not_cover_the_call_sends_nothing(turso: LocalTurso, clock: int) -> None:
    times = [100.0, 1_700_000_000.0]
    lease = Lease(5, [lambda: times[0], lambda: times[1]])
    times[clock] += 5 + 10.1
    async with client(turso.url) as asked:
        outcome = await asked.rotate(Target.of_group(PAYMENTS), lease)

    still = "The bot stood still between the start and the call, for longer than its claim holds"
    again = "Others may have rotated the group meanwhile: type the command again to see."
    assert told(outcome) == (State.FAILED, f"{still}: {NOTHING} {again}", None)
    assert turso.calls_to_rotate() == 0


@pytest.mark.fault("F44")
async def test_a_clock_set_back_takes_nothing_from_a_lease(turso: LocalTurso) -> None:
    times = [100.0, 1_700_000_000.0]
    lease = Lease(5, [lambda: times[0], lambda: times[1]])
    times[1] -= 3600
    async with client(turso.url) as asked:
        outcome = await asked.rotate(Target.of_group(PAYMENTS), lease)

    assert outcome.state is State.SUCCEEDED


@pytest.mark.fault("F8")
async def test_a_name_that_does_not_resolve_sends_nothing() -> None:
    outcome = await rotated("http://nowhere.invalid")

    assert told(outcome) == (State.FAILED, f"The host name nowhere.invalid could not be resolved: {NOTHING}", None)


@pytest.mark.fault("F8")
async def test_a_refused_connection_sends_nothing(turso: LocalTurso) -> None:
    await turso.go_offline()

    outcome = await rotated(turso.url)

    assert told(outcome) == (State.FAILED, f"The connection to 127.0.0.1 was refused: {NOTHING}", None)


@pytest.mark.fault("F8")
async def test_a_tls_failure_sends_nothing(turso: LocalTurso) -> None:
    outcome = await rotated(turso.url.replace("http:", "https:"))

    assert told(outcome) == (
        State.FAILED,
        f"A secure connection to 127.0.0.1 could not be established: {NOTHING}",
        None,
    )
    assert turso.requests == []


@pytest.mark.fault("F8")
async def test_a_tls_handshake_without_an_end_sends_nothing() -> None:
    async def keeps_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    async with served(keeps_silent, "https") as url:
        outcome = await rotated(url, timeout=2)  # of which two attempts to connect leave a tenth

    assert told(outcome) == (State.FAILED, f"127.0.0.1 could not be reached in time: {NOTHING}", None)
    assert outcome.seconds < 2


@pytest.mark.fault("F8")
async def test_a_connection_that_is_never_accepted_sends_nothing() -> None:
    with socket.socket() as listener, socket.socket() as queued, socket.socket() as dropped:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queued.connect(listener.getsockname())
        dropped.setblocking(False)  # noqa: FBT003 - that is its signature
        dropped.connect_ex(listener.getsockname())
        outcome = await rotated(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)

    assert told(outcome) == (State.FAILED, f"127.0.0.1 could not be reached in time: {NOTHING}", None)


@pytest.mark.fault("F9")
async def test_ten_megabytes_of_error_are_cut(turso: LocalTurso) -> None:
    turso.inject(FixedResponse(400, b"x" * 10_000_000))

    outcome = await rotated(turso.url)

    assert (outcome.state, outcome.status) == (State.UNKNOWN, 400)
    assert outcome.explanation.endswith("xxx…")
    assert len(outcome.explanation) <= 400


@pytest.mark.fault("F9")
async def test_a_body_without_an_end_is_left_and_proves_nothing() -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 402 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"8\r\npay up! \r\n" * 1000)
            await writer.drain()

    async with served(floods) as url:
        outcome = await rotated(url)

    assert (outcome.state, outcome.status) == (State.UNKNOWN, 402)
    assert "The answer said: pay up! pay up!" in outcome.explanation
    assert outcome.explanation.endswith("…")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a\x00b\x1b[31mc\r\nd\te", "ab[31mc d e"),
        ("\u202ereversed\u2066 \u200bzero\ufeff \u2060width\u00ad", "reversed zero width"),
        ("<!channel> *bold* `code` & <https://evil|x>", "<!channel> *bold* `code` & <https://evil|x>"),  # see messages
        (f"the token {JWT} is bad", "the token [redacted] is bad"),
        (f"own {DEFAULT_TOKEN[:6]}\u200b{DEFAULT_TOKEN[6:]}!", "own [redacted]!"),
        ("for-payments", "[redacted]"),
        ("Authorization: bEaReR  abc/def==", "Authorization: bEaReR [redacted]"),
        ("xoxb-1-2-abc and xapp-1-A-2-b", "[redacted] and [redacted]"),
        ("\ud800 lone", "lone"),
    ],
)
@pytest.mark.parametrize(
    ("wraps", "sentence"),
    [
        (lambda said: json.dumps({"error": said}), f"Turso refused the rotation (400). {REFUSED} Turso said"),
        (str, f"The answer (400) {UNPROVEN}: {MAYBE} The answer said"),
    ],
    ids=["json", "plain"],
)
@pytest.mark.fault("F9")
async def test_words_are_cleaned_and_hold_no_secret(
    turso: LocalTurso, said: str, shown: str, wraps: Callable[[str], str], sentence: str
) -> None:
    turso.inject(FixedResponse(400, wraps(said).encode(errors="ignore")))

    outcome = await rotated(turso.url, group_tokens={"other": "for-payments"})

    assert outcome.explanation == f"{sentence}: {shown}"


@pytest.mark.fault("F9")
def test_half_a_secret_at_a_cut_is_not_shown() -> None:
    secret = "s3cret" * 20
    for at in range(8192 - len(secret), 8193):
        shown = error_message(" " * at + secret + "…" * 9000, [secret])
        assert "s3" not in shown


@pytest.mark.parametrize("length", [150, 250, 260, 265, 269])
@pytest.mark.fault("F9")
def test_a_secret_is_gone_before_the_words_are_cut(length: int) -> None:
    assert "eyJ" not in error_message("x" * length + f" {JWT}")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/b",
        "%2e%2e",
        "..",
        "",
        "x" * 65,
        "x" * 10_000,
        "\u202eprod",
        "🔥",
        "prod\0",
        "a?b",
        "a#b",
        "a\n",
        "-a",
    ],
)
@pytest.mark.fault("F27")
async def test_what_is_not_a_name_never_leaves(turso: LocalTurso, name: str) -> None:
    async with client(turso.url) as asked:
        with pytest.raises(ValueError, match="not the name of a group"):
            await asked.rotate(Target.of_group(GroupName(name)), Lease(5))
        with pytest.raises(ValueError, match="not the name of a group"):
            await asked.group_info(GroupName(name))

    assert turso.requests == []


@pytest.mark.parametrize("organization", ["..", ".", "../acme", "%2e%2e", "a/b", "a?b", "a#b", "ä"])
@pytest.mark.fault("F27")
async def test_an_organization_stays_one_segment(turso: LocalTurso, organization: str) -> None:
    try:
        outcome = await rotated(turso.url, organization=organization)
    except ValueError as error:
        assert "another path" in str(error)  # noqa: PT017 - either is right
        assert turso.requests == []
    else:
        assert outcome.status == 404
        assert turso.requests[0].line.segments == (
            "v1", "organizations", organization, "groups", "payments", "auth", "rotate",
        )  # fmt: skip


@pytest.mark.fault("F27")
async def test_a_base_url_keeps_its_path(turso: LocalTurso) -> None:
    await rotated(f"{turso.url}/proxy/turso/")

    assert turso.requests[0].path == "/proxy/turso/v1/organizations/acme/groups/payments/auth/rotate"


@pytest.mark.fault("F36")
async def test_each_rotation_goes_out_on_a_fresh_connection(turso: LocalTurso) -> None:
    turso.inject(ResetOnReuse(), on=RequestKind.ALL)
    async with client(turso.url) as asked:
        await asked.group_info(PAYMENTS)
        outcomes = [await asked.rotate(Target.of_group(PAYMENTS), Lease(5)) for _ in range(3)]

    assert [outcome.state for outcome in outcomes] == [State.SUCCEEDED] * 3
    assert turso.calls_to_rotate() == 3


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.fault("F37")
async def test_a_bomb_is_not_unpacked(turso: LocalTurso, status: int) -> None:
    turso.inject(GzipBomb(status=status))
    async with client(turso.url) as asked:
        tracemalloc.start()
        outcome = await asked.rotate(Target.of_group(PAYMENTS), Lease(5))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert (outcome.state, outcome.status) == (State.UNKNOWN, status)
    assert "said" not in outcome.explanation
    assert peak < 10_000_000


async def interrupted(asked: TursoClient, when: Awaitable[object]) -> Outcome:
    """Cancel a rotation at a moment, and return what is known of it."""
    calling = asyncio.create_task(asked.rotate(Target.of_group(PAYMENTS), Lease(5)))
    await when
    calling.cancel()
    with pytest.raises(Interrupted) as stopped:
        await calling
    return stopped.value.outcome


@pytest.mark.fault("F25")
async def test_a_rotation_that_is_cancelled_in_the_call_is_unknown_and_not_repeated(turso: LocalTurso) -> None:
    turso.inject(Hang())
    async with client(turso.url) as asked:
        outcome = await interrupted(asked, turso.reached())

    assert told(outcome) == (
        State.UNKNOWN,
        "The bot was stopped during the call: the rotation may have happened.",
        None,
    )
    assert turso.calls_to_rotate() == 1


@pytest.mark.fault("F25")
async def test_a_rotation_that_is_cancelled_while_it_connects_was_not_sent() -> None:
    connected = asyncio.Event()

    async def keeps_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()

    async with served(keeps_silent, "https") as url, client(url) as asked:
        outcome = await interrupted(asked, connected.wait())

    assert told(outcome) == (State.FAILED, "The bot was stopped before the call: nothing was sent.", None)


@pytest.mark.fault("F25")
async def test_a_rotation_that_is_cancelled_while_turso_wants_it_to_wait_was_refused(turso: LocalTurso) -> None:
    answered = asyncio.Event()
    turso.inject(FixedResponse(429, headers={"Retry-After": "3"}))
    async with client(turso.url, observe=lambda *_: answered.set()) as asked:
        outcome = await interrupted(asked, answered.wait())

    assert told(outcome) == (
        State.FAILED,
        "The rate of requests is limited (429). Nothing was changed. Try again in 3 seconds.",
        429,
    )
    assert turso.calls_to_rotate() == 1


async def test_a_group_s_own_token_wins_and_without_any_nothing_is_sent(turso: LocalTurso) -> None:
    turso.api.tokens["for-payments"] = ApiToken(frozenset({"read", "group:rotate-creds"}), "payments")
    async with client(turso.url, api_token=None, group_tokens={"payments": "for-payments"}) as asked:
        has = asked.has_token(PAYMENTS), asked.has_token(GroupName("prod-eu"))
        outcomes = [await asked.rotate(Target.of_group(group), Lease(5)) for group in (PAYMENTS, GroupName("prod-eu"))]
        groups, look = await asked.groups(), await asked.group_info(GroupName("prod-eu"))

    assert has == (True, False)
    assert [outcome.state for outcome in outcomes] == [State.SUCCEEDED, State.FAILED]
    assert outcomes[1].explanation == "The bot has no Turso API token for prod-eu: nothing was sent."
    assert (groups, look) == (("payments",), GroupInfo(exists=None, databases=None))
    assert len(turso.requests) == 1


@pytest.mark.parametrize("secret", ["tok\nen", "tok en", "tökën"])
def test_a_token_that_cannot_travel_is_refused_unquoted(secret: str) -> None:
    with pytest.raises(ValueError, match="a header cannot hold") as refused:
        client("http://127.0.0.1", group_tokens={"payments": secret})

    assert secret not in str(refused.value)


def test_its_repr_holds_no_secret() -> None:
    asked: Turso = client("https://127.0.0.1:1/x", group_tokens={"payments": "for-payments"})

    assert repr(asked) == "TursoClient(127.0.0.1/v1/organizations/acme/)"


async def test_a_look_finds_the_group_and_its_databases(turso: LocalTurso) -> None:
    look = await looked(turso.url)

    assert look == GroupInfo(exists=True, databases=("ledger",), hostnames=("ledger-acme.turso.io",))
    assert [request.path for request in turso.requests] == READS


async def test_a_missing_group_is_known_to_be_missing(turso: LocalTurso) -> None:
    assert await looked(turso.url, "Payments") == GroupInfo(exists=False, databases=())


@pytest.mark.fault("F63")
async def test_a_databases_group_is_found_with_whatever_token_there_is(turso: LocalTurso) -> None:
    turso.api.tokens["for-payments"] = ApiToken(frozenset({"read"}), "payments")
    tokens: dict[str, Any] = {"api_token": None, "group_tokens": dict.fromkeys(["payments", "gone"], "for-payments")}
    async with client(turso.url) as whole, client(turso.url, **tokens) as single:
        found = [[await asked.group_of(name) for name in ("ledger", "nowhere")] for asked in (whole, single)]
        turso.inject(FixedResponse(200, b'{"database": {"group": 7}}'), on=RequestKind.READS)
        rubbish = await whole.group_of("rubbish")

    assert found == [["payments", None]] * 2
    assert rubbish is None
    assert {request.method for request in turso.requests} == {"GET"}


async def test_a_token_for_one_group_asks_for_that_group(turso: LocalTurso) -> None:
    turso.api.tokens["for-payments"] = ApiToken(frozenset({"read"}), "payments")
    tokens: dict[str, Any] = {"api_token": None, "group_tokens": dict.fromkeys(["payments", "gone"], "for-payments")}

    assert (await looked(turso.url, **tokens)).exists is True
    assert (await looked(turso.url, "gone", **tokens)).exists is None  # 403: that says nothing about the group


async def test_what_does_not_come_in_time_is_missing_alone(turso: LocalTurso) -> None:
    turso.inject(Hang(), on=RequestKind.READS, times=1)
    async with client(turso.url, read_seconds=0.2) as asked:
        look = await asked.group_info(PAYMENTS)

    assert look == GroupInfo(exists=None, databases=("ledger",), hostnames=("ledger-acme.turso.io",))


@pytest.mark.parametrize(
    "fault",
    [
        Hang(),
        SlowDrip(),
        CloseConnection(),
        TruncatedBody(),
        InvalidHttp(),
        GzipBomb(size=1_000_000),
        FixedResponse(401),
        FixedResponse(302, headers={"Location": "/"}),
        FixedResponse(429, headers={"Retry-After": "1"}),
        FixedResponse(500),
        FixedResponse(201, b"[" * 100_000),
        FixedResponse(201, b'{"groups": [1], "databases": {}}'),
        FixedResponse(201, b" " * 5_000_000),
    ],
    ids=lambda fault: repr(fault)[:40],
)
async def test_a_look_that_fails_says_so_and_stops_nothing(turso: LocalTurso, fault: Fault) -> None:
    turso.inject(fault, on=RequestKind.READS)
    async with client(turso.url, read_seconds=0.2) as asked:
        look, groups = await asked.group_info(PAYMENTS), await asked.groups()
        outcome = await asked.rotate(Target.of_group(PAYMENTS), Lease(5))

    assert (look, groups) == (GroupInfo(exists=None, databases=None), None)
    assert outcome.state is State.SUCCEEDED
    paths = [request.path for request in turso.requests]
    assert len(paths) - len(set(paths)) <= 1  # the list once more, for `groups`


async def test_a_burst_of_looks_is_one_and_then_fresh_for_five_seconds(turso: LocalTurso) -> None:
    now = [100.0]
    async with client(turso.url, clock=lambda: now[0]) as asked:
        looks = await asyncio.gather(*(asked.group_info(PAYMENTS) for _ in range(20)))
        now[0] += 4.9
        looks.append(await asked.group_info(PAYMENTS))
        groups = await asked.groups()
        before = len(turso.requests)
        now[0] += 0.2
        turso.organization.groups["payments"] = ("ledger", "books")
        later = await asked.group_info(PAYMENTS)

    assert (before, len(turso.requests)) == (2, 4)
    assert len(set(looks)) == 1
    assert groups == ("payments", "prod-eu", "prod-us")
    assert later.databases == ("ledger", "books")


async def test_one_who_leaves_does_not_take_the_look_from_the_others(turso: LocalTurso) -> None:
    turso.inject(Hang(), on=RequestKind.READS)
    async with client(turso.url) as asked:
        first, second = (asyncio.create_task(asked.group_info(PAYMENTS)) for _ in range(2))
        await turso.changes.until(lambda: len(turso.requests) == 2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        turso.clear_faults()
        look = await second

    assert look.exists is True
    assert [request.path for request in turso.requests] == READS


@given(
    status=st.integers(0, 1000),
    text=st.text()
    | st.text(" \0\u202e\n<>&`eyJ.-bearer", min_size=200)
    | st.recursive(st.text(), st.lists).map(json.dumps),
    secrets=st.frozensets(st.text("abcde[].", min_size=1, max_size=9), max_size=5),
    group=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True).map(GroupName),
    pause=st.none() | st.floats(1, 999_999_999),
)
def test_judging_never_raises_and_its_words_are_clean(
    status: int, text: str, secrets: frozenset[str], group: GroupName, pause: float | None
) -> None:
    answer = replace(TursoAnswer.of(status, {}, text.encode(errors="ignore"), whole=True), pause=pause)
    outcome = classify(Target.of_group(group), answer, secrets)

    assert outcome.state is not State.SUCCEEDED or status in {200, 204}
    assert outcome.state is not State.FAILED or 400 <= status < 432
    assert len(outcome.explanation) <= 400
    assert not any(unicodedata.category(each)[0] == "C" for each in outcome.explanation)
    assert "  " not in outcome.explanation


@given(st.binary(), st.sampled_from(["Content-Encoding", "Retry-After", "Date"]), st.text())
def test_any_answer_can_be_taken_apart(body: bytes, header: str, value: str) -> None:
    assert TursoAnswer.of(429, {header: value}, body, whole=True).status == 429


@pytest.mark.parametrize(
    ("head", "state"),
    [
        ("200 OK\r\nContent-Type: application/json", State.UNKNOWN),
        ("403 Forbidden\r\nContent-Type: application/json", State.UNKNOWN),
        ("200 OK\r\nContent-Type: text/html\r\nContent-Length: 0", State.UNKNOWN),
        ("200 OK\r\nContent-Type: application/json\r\nContent-Length: 0", State.SUCCEEDED),
        ("204 No Content\r\nContent-Type: application/json", State.SUCCEEDED),
        ("200 OK", State.SUCCEEDED),
    ],
)
@pytest.mark.fault("F37", "F41")
async def test_a_body_that_is_announced_and_does_not_come_proves_nothing(head: str, state: State) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\n\r\n".encode())
        writer.close()

    async with served(answers) as url:
        assert (await rotated(url)).state is state


@pytest.mark.parametrize("body", [PAGE, b"", b'{"error": "organization not found"}', b'{"error": "group not found"}'])
@pytest.mark.fault("F42")
async def test_only_turso_s_own_word_makes_a_group_missing_before_the_card(turso: LocalTurso, body: bytes) -> None:
    turso.inject(FixedResponse(404, body), on=RequestKind.READS)

    assert (await looked(turso.url)).exists is (False if b"group not" in body and body != PAGE else None)
