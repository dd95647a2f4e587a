"""The faults of the local Turso, as a client sees them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.sandbox.faults import CloseConnection, Fault, FixedResponse, Hang
from bot.sandbox.local_turso import LocalTurso, RequestKind
from tests.faults import GzipBomb, InvalidHttp, ResetOnReuse, SlowDrip, TruncatedBody, TruncatedHeaders

V1 = "/v1/organizations/acme"
ROTATE = f"{V1}/groups/payments/auth/rotate"


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso() as turso:
        yield turso


@pytest.fixture
async def http(turso: LocalTurso) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=turso.url, trust_env=False) as http:
        http.headers["Authorization"] = "Bearer local-turso-token"
        yield http


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CloseConnection(), httpx.RemoteProtocolError),
        (TruncatedHeaders(), httpx.RemoteProtocolError),
        (TruncatedBody(), httpx.RemoteProtocolError),
        (InvalidHttp(), httpx.RemoteProtocolError),
        (Hang(), httpx.ReadTimeout),
        (Fault(delay=60), httpx.ReadTimeout),
    ],
)
async def test_the_answer_is_lost_but_the_rotation_happened(
    turso: LocalTurso, http: httpx.AsyncClient, fault: Fault, error: type[Exception]
) -> None:
    turso.inject(fault)
    with pytest.raises(error):
        await http.post(ROTATE, timeout=httpx.Timeout(5, read=0.2))

    assert (turso.calls_to_rotate(), turso.requests[0].performed, turso.requests[0].status) == (1, True, None)
    assert not turso.services[0].works


async def test_a_fault_may_say_that_nothing_happened(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(CloseConnection(performs=False))
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post(ROTATE)

    assert (turso.calls_to_rotate(), turso.requests[0].performed, turso.services[0].works) == (1, False, True)


@pytest.mark.parametrize(
    ("status", "rotations"),
    [(200, 1), (204, 1), (302, 0), (404, 0), (429, 0), (500, 1), (503, 1)],
)
async def test_any_answer_can_be_given(turso: LocalTurso, http: httpx.AsyncClient, status: int, rotations: int) -> None:
    turso.inject(FixedResponse(status, b"", {"Retry-After": "rubbish", "Location": "https://elsewhere.example/"}))
    answer = await http.post(ROTATE)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "rubbish")
    assert (turso.requests[0].performed, turso.requests[0].status) == (rotations, status)


async def test_a_body_can_be_huge(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(FixedResponse(500, b"x" * 10_000_000))

    assert len((await http.post(ROTATE)).content) == 10_000_000


async def test_a_small_body_can_become_huge(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(GzipBomb(size=5_000_000))
    async with http.stream("POST", ROTATE) as answer:
        unpacked = sum([len(chunk) async for chunk in answer.aiter_bytes()])

    assert unpacked == 5_000_000
    assert answer.num_bytes_downloaded < 100_000


async def test_a_client_may_leave_a_bomb_alone(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(GzipBomb(), times=1)
    async with http.stream("POST", ROTATE) as answer:
        await anext(answer.aiter_bytes())

    assert (await http.post(ROTATE)).status_code == 200


async def test_a_dripping_answer_outlasts_every_read_timeout(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(SlowDrip(interval=0.001))
    answer = await http.post(ROTATE, timeout=0.5)

    assert (answer.status_code, answer.content) == (200, b"{}")
    assert SlowDrip().interval == 1.0


async def test_what_hangs_can_be_released(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(Hang())
    rotation = asyncio.ensure_future(http.post(ROTATE))
    await turso.reached(1)
    turso.release()

    assert (await rotation).status_code == 200


async def test_closing_does_not_wait_for_what_hangs() -> None:
    async with LocalTurso() as turso, httpx.AsyncClient(base_url=turso.url, trust_env=False) as http:
        turso.inject(Hang(), on=RequestKind.ALL)
        request = asyncio.ensure_future(http.post(ROTATE))
        await turso.reached(1)

    with pytest.raises(httpx.ReadError):
        await request


async def test_a_kept_alive_connection_dies_under_its_second_request(
    turso: LocalTurso, http: httpx.AsyncClient
) -> None:
    turso.inject(ResetOnReuse())
    await http.get(f"{V1}/groups")
    with pytest.raises(httpx.ReadError):
        await http.post(ROTATE)
    fresh = await http.post(ROTATE)

    assert fresh.status_code == 200
    assert [request.performed for request in turso.requests] == [True, False, True]


async def test_faults_are_planned_for_some_requests(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    turso.inject(FixedResponse(500), on=RequestKind.READS, times=1)
    turso.inject(FixedResponse(502), on=RequestKind.ALL, times=1)
    statuses = [(await http.request(*call)).status_code for call in [("POST", ROTATE), ("GET", f"{V1}/groups")] * 2]
    turso.inject(FixedResponse(503))
    turso.clear_faults()

    assert statuses == [502, 500, 200, 200]
    assert (await http.post(ROTATE)).status_code == 200


async def test_turso_vanishes_and_comes_back_at_the_same_address(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    await http.get(f"{V1}/groups")
    await turso.go_offline()
    with pytest.raises(httpx.ConnectError):
        await http.post(ROTATE)
    await turso.go_online()

    assert (await http.post(ROTATE)).status_code == 200
    assert turso.calls_to_rotate() == 1
