"""`audit stats`: what a person reads on a terminal, and what a script gets."""

import asyncio
import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from bot.cli.chart import Canvas, bars, chart
from bot.domain.history import RequestStatus
from bot.domain.models import GroupName
from bot.domain.statistics import Interval, SeriesKey, Tally
from bot.store.migrations import exclusive_transaction
from bot.store.tables import rotations
from tests.databases import load_url
from tests.process import run
from tests.store.attack import unguarded

MONDAY = datetime(2026, 9, 28, 8, tzinfo=UTC)
COMMAND = ("audit", "stats", "--period", "2026-09-28..2026-10-18")


def row(number: int, week: int, group: str, state: str, seconds: float) -> dict[str, object]:
    at = MONDAY + timedelta(weeks=week)
    return {
        "id": f"r{number}", "organization": "acme", "group": group, "team_id": "T012AB3CD", "user_id": "U0ALICE01",
        "channel_id": "C0INCIDENT", "reason": "why", "state": state, "requested_at": at, "expires_at": at,
        "ended_at": at + timedelta(seconds=seconds), "detail": {},
    }  # fmt: skip


ROWS = [
    *(row(number, 0, "payments", "succeeded", 10 + number) for number in range(8)),
    row(8, 2, "payments", "succeeded", 400),
    row(9, 1, "payments", "unknown", 35),
    row(10, 1, "default", "failed", 5.25),
]


@pytest.fixture
async def settings(database_url: str) -> dict[str, str]:
    """Fill three weeks: eight rotations, an unknown and a failure, one more rotation."""
    url = load_url(database_url)

    def work() -> None:
        with exclusive_transaction(url) as connection, unguarded(connection):
            connection.execute(insert(rotations), ROWS)

    await asyncio.to_thread(work)
    return {"DATABASE_URL": database_url, "TURSO_ORGANIZATION": "acme"}


async def test_a_rotation_noted_by_hand_is_no_refused_command(settings: dict[str, str], tmp_path: Path) -> None:
    await run(settings, tmp_path, "audit", "note", "payments", "--note", "in the web app")
    _, out, _ = await run(settings, tmp_path, "audit", "stats", "--period", "today")

    assert out.splitlines()[-1] == (
        "Requests: 0. Refused commands: 0. Noted as made by hand: 1. Unresolved unknowns: 0."
    )


async def test_a_person_sees_a_line_and_bars_for_each_group_and_outcome(
    settings: dict[str, str], tmp_path: Path
) -> None:
    code, out, err = await run(settings | {"COLUMNS": "80"}, tmp_path, *COMMAND)
    lines = [" ".join(line.split()) for line in out.splitlines()]

    assert (code, err) == (0, "")
    assert lines == [
        "GROUP OUTCOME COUNT MEDIAN PEAK BY WEEK",
        "default failed 1 5.2 s 1 ·█·",
        "payments succeeded 9 14.0 s 8 █·▁",
        "unknown 1 35.0 s 1 ·█·",
        "unresolved 1 1 ·█·",
        "",
        "A bar is a week; the first begins on 2026-09-28, the last on 2026-10-12 (UTC).",
        "Each line is scaled to its own peak. MEDIAN: time from the request to its end.",
        "Requests: 11. Refused commands: 0. Unresolved unknowns: 1.",
        "(To list them: audit list --outcome unknown. To judge one: audit resolve.)",
    ]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.databases("sqlite")
async def test_a_terminal_without_unicode_gets_ascii(settings: dict[str, str], tmp_path: Path) -> None:
    code, out, _ = await run(settings | {"PYTHONIOENCODING": "ascii"}, tmp_path, *COMMAND)

    assert code == 0
    assert out.isascii()
    assert "@.:" in out


async def test_a_script_gets_every_interval(settings: dict[str, str], tmp_path: Path) -> None:
    _, out, _ = await run(settings, tmp_path, *COMMAND, "--by", "month", "--format", "json")
    _, cells, _ = await run(settings, tmp_path, *COMMAND, "--group", "default", "--by", "day", "--format", "csv")

    assert [tuple(each.values()) for each in json.loads(out)] == [
        ("2026-09-01", "payments", "succeeded", 8, 0, 13.5),
        ("2026-10-01", "default", "failed", 1, 0, 5.25),
        ("2026-10-01", "payments", "succeeded", 1, 0, 400.0),
        ("2026-10-01", "payments", "unknown", 1, 1, 35.0),
    ]
    assert list(csv.reader(cells.splitlines())) == [
        ["start", "group", "outcome", "count", "unresolved", "median_seconds"],
        ["2026-10-05", "default", "failed", "1", "0", "5.25"],
    ]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--group", "absent"], 0, "No matching requests"),
        (["--by", "year"], 2, "month"),
        (["--period", "last week"], 2, "2026-10-01"),
        (["--period", "7d", "--since", "7d"], 2, "--since"),
    ],
)
async def test_what_cannot_be_counted_is_explained(
    arguments: list[str], code: int, words: str, settings: dict[str, str], tmp_path: Path
) -> None:
    ended, out, err = await run(settings, tmp_path, "audit", "stats", *arguments)

    assert (ended, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("plain", [True, False])
def test_bars_are_scaled_and_something_never_looks_like_nothing(*, plain: bool) -> None:
    drawn = bars([0, 1, 500, 1000, 1_000_000], plain=plain)

    assert drawn == ("." + ":" * 3 + "@" if plain else "·" + "▁" * 3 + "█")
    assert bars(range(9), plain=plain) == (".:-=+*#%@" if plain else "·▁▂▃▄▅▆▇█")


def tally(day: int, group: str | None = "payments", count: int = 1) -> Tally:
    name = None if group is None else GroupName(group)
    return Tally(date(2026, 1, 1) + timedelta(days=day), SeriesKey(name, RequestStatus.SUCCEEDED), count, 0)


@pytest.mark.parametrize("columns", [72, 80, 120, 300])
@pytest.mark.parametrize("days", [1, 30, 365, 4000])
@pytest.mark.parametrize("group", ["a", "g" * 64])
@pytest.mark.parametrize("count", [9, 1_000_000])
def test_a_chart_fits_whatever_it_shows(columns: int, days: int, group: str, count: int) -> None:
    unknown = SeriesKey(GroupName(group), RequestStatus.UNKNOWN)
    day = date(2026, 1, 1)
    drawn = chart(
        [Tally(day, unknown, count, 1), Tally(day + timedelta(days=days - 1), unknown, 1, 1)],
        {(None, unknown): 86_400},
        Interval.DAY,
        date(2026, 1, 1),
        Canvas(columns, plain=False),
    )
    rows = list(drawn.rows())
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]]

    assert sum(widths) + 2 * (len(widths) - 1) <= columns
    assert len(rows[0]["by day"]) == -(-days // drawn.together) <= 60
    assert sum(drawn.series[0].counts) == count + 1


def test_more_groups_than_there_is_room_for_are_counted_together() -> None:
    many = [tally(0, f"group{number:03}", 1000 - number) for number in range(60)]
    drawn = chart([*many, tally(0, None)], {}, Interval.DAY, date(2026, 1, 1), Canvas(80, plain=True))
    rows = [(row["group"], row["count"].strip()) for row in drawn.rows()]

    assert len(rows) == 51
    assert rows[0] == ("group000", "1,000")
    assert rows[-1] == ("(other)", f"{sum(1000 - number for number in range(50, 60)) + 1:,}")
