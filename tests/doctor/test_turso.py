"""What the doctor finds at Turso."""

import json
import time

import pytest

from bot.sandbox.faults import FixedResponse, Hang
from bot.sandbox.local_turso import LocalTurso, RequestKind
from bot.sandbox.organization import ApiToken
from tests.doctor.conftest import DEFAULT, NEEDED, PAYMENTS, WHOLE, Doctor

DAY = 86_400


def tokens(**by_group: str) -> str:
    return json.dumps(by_group)


async def test_a_token_that_turso_does_not_take(doctor: Doctor) -> None:
    report = await doctor(TURSO_GROUP_TOKENS=tokens(payments="of-somebody-else"))

    assert (report.code, report.complaints) == (1, ["turso.token"])
    assert report["turso.token"]["subject"] == "TURSO_GROUP_TOKENS[payments]"
    assert "invalid number of segments" in report["turso.token"]["found"]
    assert report["turso.token"]["fix"] == (
        "turso auth api-tokens mint rotate-payments --org acme --group payments --scope read --scope group:rotate-creds"
    )
    assert {report[check]["state"] for check in ("turso.group", "turso.organization", "turso.breadth")} == {"skipped"}


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [(9.5, "warning", "in 9 days"), (-1, "failure", "token is expired")],
)
async def test_a_token_that_ends(doctor: Doctor, turso: LocalTurso, days: float, state: str, words: str) -> None:
    turso.api.tokens[PAYMENTS] = ApiToken(NEEDED, "payments", exp=int(time.time() + days * DAY))
    report = await doctor()

    assert (report.code, report["turso.token"]["state"]) == (int(state == "failure"), state)
    assert words in report["turso.token"]["found"]


async def test_tursos_clock(doctor: Doctor, turso: LocalTurso) -> None:
    turso.skew_clock(200)
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["turso.clock"])


async def test_a_token_of_the_whole_organization(doctor: Doctor) -> None:
    report = await doctor(TURSO_GROUP_TOKENS="", TURSO_API_TOKEN=WHOLE)

    assert (report.code, report.complaints) == (0, ["turso.breadth"])
    assert report["turso.breadth"]["subject"] == "TURSO_API_TOKEN"
    assert "it lists default, payments" in report["turso.breadth"]["found"]
    assert "--group GROUP --scope read --scope group:rotate-creds" in report["turso.breadth"]["fix"]


async def test_a_group_token_that_reaches_more(doctor: Doctor) -> None:
    report = await doctor(TURSO_GROUP_TOKENS=tokens(payments=WHOLE))

    assert (report.code, report.complaints) == (0, ["turso.breadth"])
    assert report["turso.breadth"]["subject"] == "TURSO_GROUP_TOKENS[payments]"
    assert "it lists default." in report["turso.breadth"]["found"]


async def test_a_token_without_restriction(doctor: Doctor, turso: LocalTurso) -> None:
    turso.api.tokens[WHOLE] = ApiToken(unrestricted=True)
    report = await doctor(TURSO_GROUP_TOKENS="", TURSO_API_TOKEN=WHOLE)

    assert (report.code, report.complaints) == (0, ["turso.breadth"])
    assert "not restricted: it also reaches side-project" in report["turso.breadth"]["found"]


async def test_two_group_tokens_that_were_swapped(doctor: Doctor) -> None:
    report = await doctor(TURSO_GROUP_TOKENS=tokens(payments=DEFAULT, default=PAYMENTS))

    assert (report.code, set(report.complaints)) == (1, {"turso.group"})
    assert report.of("turso.group") == [("payments", "failure"), ("default", "failure")]
    assert "The token is for the group default" in str(report.findings)
    assert report["turso.organization"]["state"] == "skipped"


async def test_a_group_token_for_a_group_nobody_named(doctor: Doctor) -> None:
    report = await doctor(TURSO_GROUP_TOKENS=tokens(payments=DEFAULT))

    assert (report.code, report.complaints) == (1, ["turso.group"])
    assert "it is for another one, or lacks the scope read" in report["turso.group"]["found"]
    assert "--group payments" in report["turso.group"]["fix"]


async def test_a_group_that_is_not_there(doctor: Doctor, turso: LocalTurso) -> None:
    turso.api.tokens["gone-token"] = ApiToken(NEEDED, "gone")
    report = await doctor(TURSO_GROUP_TOKENS=tokens(payments=PAYMENTS, gone="gone-token"))

    assert (report.code, report.complaints) == (1, ["turso.group"])
    assert report.of("turso.group") == [("payments", "ok"), ("gone", "failure")]
    assert report["turso.organization"]["state"] == "ok"


async def test_an_organization_that_is_not_there(doctor: Doctor) -> None:
    report = await doctor(TURSO_ORGANIZATION="acne", TURSO_GROUP_TOKENS="", TURSO_API_TOKEN=WHOLE)

    assert report.code == 1
    assert "no organization acne" in report["turso.organization"]["found"]


@pytest.mark.parametrize(
    ("scopes", "state", "words"),
    [
        (NEEDED, "ok", "only group:rotate-creds and read"),
        (frozenset({"read"}), "warning", "No token that Turso lists"),
        (NEEDED | {"db:delete"}, "warning", "has more scopes than"),
    ],
)
async def test_what_the_list_of_tokens_says(
    doctor: Doctor, turso: LocalTurso, scopes: frozenset[str], state: str, words: str
) -> None:
    turso.api.tokens[PAYMENTS] = ApiToken(scopes, "payments")
    report = await doctor(TURSO_API_TOKEN=WHOLE)

    assert report.of("turso.rights") == [("payments", state)]
    assert words in report["turso.rights"]["found"]


async def test_turso_is_away(doctor: Doctor, turso: LocalTurso) -> None:
    await turso.go_offline()
    report = await doctor()

    assert (report.code, report.complaints) == (1, ["turso.token"])
    assert turso.url in report["turso.token"]["fix"]


async def test_whoever_hangs_is_waited_for_once(doctor: Doctor, turso: LocalTurso) -> None:
    turso.inject(Hang(), on=RequestKind.ALL)
    for method in ("auth.test", "apps.connections.open"):
        doctor.slack.fail(method, delay=60)
    began = time.monotonic()
    report = await doctor(TURSO_GROUP_TOKENS=tokens(**{f"group-{number}": PAYMENTS for number in range(20)}))
    took = time.monotonic() - began
    turso.clear_faults()

    assert (report.code, set(report.complaints)) == (1, {"turso.token", "slack.token", "slack.socket"})
    assert {finding["found"] for finding in report.findings if finding["check"] == "turso.token"} == {
        "Turso did not answer within 5 seconds."
    }
    assert len(turso.requests) <= 8  # of more than a hundred questions
    assert took < 20


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"groups": 1, "exp": true}'])
async def test_turso_answers_with_what_nobody_expects(doctor: Doctor, turso: LocalTurso, body: bytes) -> None:
    turso.inject(FixedResponse(200, body), on=RequestKind.READS)
    report = await doctor(TURSO_API_TOKEN=WHOLE)

    assert report.code in {0, 1}
    assert "turso.token" in report.states("skipped")


async def test_turso_echoes_the_token_in_an_error(doctor: Doctor, turso: LocalTurso) -> None:
    error = {"error": f"Bearer {PAYMENTS} is bad, and so is {PAYMENTS}"}
    turso.inject(FixedResponse(401, json.dumps(error).encode()), on=RequestKind.READS)
    report = await doctor()

    assert "turso.token" in report.states("failure")
    assert "[redacted]" in report["turso.token"]["found"]
