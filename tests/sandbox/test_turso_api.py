"""Turso's Platform API, as its callers see it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.organization import ApiToken

V1 = "/v1/organizations/acme"
ROTATE = f"{V1}/groups/payments/auth/rotate"
TOKENS = {
    "everything": ApiToken(),
    "payments-only": ApiToken(frozenset({"read", "group:rotate-creds"}), group="payments"),
    "reader": ApiToken(frozenset({"read"})),
    "expired": ApiToken(exp=1_700_000_000),
}


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(tokens=TOKENS) as turso:
        yield turso


@pytest.fixture
async def http(turso: LocalTurso) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=turso.url, trust_env=False) as http:
        http.headers["Authorization"] = "Bearer everything"
        yield http


def working(turso: LocalTurso) -> list[str]:
    return [token.name for token in turso.services if token.works]


async def test_a_rotation_ends_the_tokens_of_its_group_alone(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    answer = await http.post(ROTATE)

    assert (answer.status_code, answer.content) == (200, b"")
    assert working(turso) == ["ledger-service", "invoices-service", "default-service"]
    assert (turso.calls_to_rotate(), turso.calls_to_rotate("payments"), turso.calls_to_rotate("default")) == (1, 1, 0)


async def test_a_database_is_rotated_by_itself(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    await http.post(f"{V1}/databases/ledger/auth/rotate")

    assert working(turso) == ["payments-service", "invoices-service", "default-service"]
    assert (turso.calls_to_rotate(), turso.calls_to_rotate("payments")) == (1, 0)


async def test_groups_and_databases_are_listed(http: httpx.AsyncClient) -> None:
    groups = (await http.get(f"{V1}/groups")).json()["groups"]
    databases = (await http.get(f"{V1}/databases", params={"group": "payments"})).json()["databases"]

    assert [group["name"] for group in groups] == ["payments", "default"]
    assert [database["Name"] for database in databases] == ["ledger", "invoices"]
    assert (await http.get(f"{V1}/groups/payments")).json()["group"]["name"] == "payments"
    assert len((await http.get(f"{V1}/databases")).json()["databases"]) == 2
    assert (await http.get(f"{V1}/databases/ledger")).json() == {"database": databases[0]}
    assert (await http.get(f"{V1}/databases/nowhere")).status_code == 404


async def test_the_account_can_be_looked_at(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/auth/validate")).json() == {"exp": -1}
    assert (await http.get("/v1/organizations")).json()[0]["slug"] == "acme"
    assert (await http.get(f"{V1}/api-tokens")).json()["tokens"][1]["group"] == "payments"


@pytest.mark.parametrize(
    ("token", "request_line", "status"),
    [
        ("", ("POST", ROTATE), 401),
        ("unknown", ("POST", ROTATE), 401),
        ("expired", ("POST", ROTATE), 401),
        ("reader", ("POST", ROTATE), 403),
        ("payments-only", ("POST", f"{V1}/groups/default/auth/rotate"), 403),
        ("payments-only", ("GET", f"{V1}/groups"), 403),
        ("payments-only", ("GET", f"{V1}/databases"), 403),
        ("payments-only", ("GET", f"{V1}/api-tokens"), 403),
        ("everything", ("POST", f"{V1}/groups/nowhere/auth/rotate"), 404),
        ("everything", ("POST", "/v1/organizations/other/groups/payments/auth/rotate"), 404),
        ("everything", ("GET", ROTATE), 404),
    ],
)
async def test_turso_says_no(
    turso: LocalTurso, http: httpx.AsyncClient, token: str, request_line: tuple[str, str], status: int
) -> None:
    answer = await http.request(*request_line, headers={"Authorization": f"Bearer {token}".strip()})

    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
    assert (len(working(turso)), turso.requests[0].performed) == (4, False)


async def test_a_token_for_one_group_is_enough_for_it(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    http.headers["Authorization"] = "Bearer payments-only"

    assert (await http.get(f"{V1}/databases?group=payments")).status_code == 200
    assert (await http.post(ROTATE)).status_code == 200


async def test_the_path_is_recorded_as_it_was_on_the_wire(turso: LocalTurso, http: httpx.AsyncClient) -> None:
    await http.post(f"{V1}/groups/a%2Fb%20%F0%9F%94%A5/auth/rotate?x=%31")

    assert turso.requests[0].path == f"{V1}/groups/a%2Fb%20%F0%9F%94%A5/auth/rotate?x=%31"
    assert turso.calls_to_rotate("a/b 🔥") == 1
    assert "everything" not in repr(turso.requests[0])
