"""What the doctor finds on the allowlist."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.grants import Role
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person
from tests.databases import load_url
from tests.doctor.conftest import ALICE, BOB, TEAM, Book, Doctor, long_ago
from tests.store.attack import attack

GONE = Person("U0GONE001", "gone", deactivated=True)
GUEST = Person("U0GUEST04", "guest", is_guest=True)
STRANGER = Person("U0STRANGE", "stranger", team_id="T0OTHER99")


async def test_a_grant_that_has_ended(doctor: Doctor, book: Book) -> None:
    await book.granted(BOB, "prod-*", long_ago(), until=datetime(2025, 4, 1, tzinfo=UTC))
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.expired"])
    assert report["allowlist.expired"]["found"] == "The grant for prod-* ended on 2025-03-31."
    assert report["allowlist.expired"]["fix"] == (
        f"turso-rotate allow remove {BOB.user_id} --team {TEAM} --group 'prod-*'"
    )


async def test_the_fix_for_a_grant_that_has_ended_revokes_no_other(doctor: Doctor, book: Book) -> None:
    ended = datetime(2025, 4, 1, tzinfo=UTC)
    await book.granted(BOB, "prod-*", long_ago(), until=ended)
    await book.granted(BOB, "prod-*", datetime.now(UTC) - timedelta(days=1))
    await book.granted(ALICE, "*", long_ago(), until=ended, role=Role.AUDIT)
    await book.granted(ALICE, "*", datetime.now(UTC) - timedelta(days=1))
    report = await doctor()

    assert report["allowlist.expired"]["subject"] == ALICE.user_id
    assert report["allowlist.expired"]["fix"] == f"turso-rotate allow remove {ALICE.user_id} --team {TEAM} --role audit"


async def test_a_grant_that_was_never_used(doctor: Doctor, book: Book) -> None:
    await book.granted(ALICE, "default", long_ago())
    await book.granted(BOB, "default", long_ago())
    await book.asks(BOB)
    await book.granted(BOB, "payments", datetime.now(UTC) - timedelta(days=80))
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.unused"])
    assert report["allowlist.unused"]["subject"] == ALICE.user_id
    assert "added on 2025-03-01, has not been used" in report["allowlist.unused"]["found"]


@pytest.mark.fault("F53")
async def test_a_grant_that_cannot_be_read(doctor: Doctor, book: Book, database_url: str) -> None:
    await book.grants(ALICE, "default")
    await book.grants(BOB, "payments")
    never = "infinity" if database_url.startswith("postgresql") else "never"
    await asyncio.to_thread(
        attack,
        load_url(database_url),
        f"UPDATE allowlist SET until = '{never}' WHERE user_id = '{BOB.user_id}'",  # noqa: S608 - the owner's
    )
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.anybody"])
    assert report["allowlist.anybody"]["found"].endswith("cannot be read: its until is not a time.")
    assert "`turso-rotate allow remove`" in report["allowlist.anybody"]["fix"]


async def test_a_grant_of_every_group(doctor: Doctor, book: Book) -> None:
    await book.grants(BOB, "*")
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.wide"])
    assert "U0B0B0002 may rotate every group" in report["allowlist.wide"]["found"]


async def test_a_grant_to_another_workspace(doctor: Doctor, book: Book) -> None:
    await book.grants(STRANGER, "payments")
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.foreign"])
    assert "T0OTHER99" in report["allowlist.foreign"]["found"]
    assert "1 person may rotate" in report["allowlist.anybody"]["found"]


async def test_people_who_have_left_and_guests(doctor: Doctor, book: Book, slack: LocalSlack) -> None:
    slack.workspace.add_people([GONE, GUEST])
    for person in (GONE, GUEST, Person("U0NOBODY9", "nobody")):
        await book.grants(person, "payments")
    report = await doctor()

    assert (report.code, set(report.complaints)) == (0, {"allowlist.people"})
    assert [(finding["subject"], finding["found"]) for finding in report.findings[-3:]] == [
        ("U0GONE001", "U0GONE001 has left: the account is deactivated."),
        ("U0GUEST04", "U0GUEST04 is a guest."),
        ("U0NOBODY9", "U0NOBODY9 is unknown to Slack in this workspace."),
    ]


async def test_nobody_may_rotate(doctor: Doctor, book: Book) -> None:
    await book.granted(BOB, "payments", long_ago(), until=datetime(2025, 4, 1, tzinfo=UTC))
    await book.revokes(ALICE)
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.anybody", "allowlist.expired"])
    assert "turso-rotate allow add" in report["allowlist.anybody"]["fix"]


async def test_a_long_list_is_cut(doctor: Doctor, book: Book) -> None:
    for number in range(13):
        await book.grants(Person(f"U0MANY{number:03}", "many"), "*")
    report = await doctor()

    wide = [finding for finding in report.findings if finding["check"] == "allowlist.wide"]
    assert len(wide) == 11
    assert (wide[-1]["found"], wide[-1]["fix"]) == ("The same applies to 3 more.", "turso-rotate allow list")


async def test_people_who_could_not_be_looked_up(doctor: Doctor, slack: LocalSlack) -> None:
    slack.fail("users.info", retry_after=30)
    report = await doctor()

    assert (report.code, report.complaints) == (0, ["allowlist.people"])
    assert "1 of 1 people" in report["allowlist.people"]["found"]


class TestPostgresql:
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_it_finds_the_same_there(self, doctor: Doctor, book: Book) -> None:
        await book.granted(BOB, "*", long_ago(), until=datetime(2025, 4, 1, tzinfo=UTC))
        await book.granted(ALICE, "*", long_ago())
        await book.grants(STRANGER, "payments")
        await book.granted(BOB, "payments", long_ago())
        await book.asks(BOB)
        report = await doctor()

        complaints = report.complaints
        assert [(each["check"], each["subject"]) for each in report.findings if each["check"] in complaints] == [
            ("allowlist.expired", "U0B0B0002"),
            ("allowlist.unused", "U0ALICE01"),
            ("allowlist.wide", "U0ALICE01"),
            ("allowlist.foreign", "U0STRANGE"),
        ]
