"""What is counted of history: the same numbers on both databases as counting by hand gives."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert

from bot.domain.events import Action, Event
from bot.domain.history import RequestStatus
from bot.domain.models import GroupName, Organization
from bot.domain.states import State
from bot.domain.statistics import Interval, SeriesKey, StatisticsQuery, Tally
from bot.store.snapshot import open_snapshot
from bot.store.statistics import SqlStatistics
from bot.store.tables import rotations
from tests.store.attack import unguarded
from tests.store.conftest import ACME, ALICE, Store

FIRST = datetime(2026, 9, 28, tzinfo=UTC)  # a Monday
OURS = StatisticsQuery(ACME)
PAYMENTS = GroupName("payments")


def row(number: int, at: datetime, seconds: float | None, state: State, **more: object) -> dict[str, object]:
    """Describe a rotation as its table holds it."""
    return {
        "id": f"r{number}", "organization": "acme", "group": "payments", "team_id": "T012AB3CD", "user_id": "U0ALICE01",
        "channel_id": "C0INCIDENT", "reason": "why", "state": str(state), "requested_at": at, "expires_at": at,
        "ended_at": None if seconds is None else at + timedelta(seconds=seconds), "detail": {}, "resolved_as": None,
        **more,
    }  # fmt: skip


async def fill(store: Store, rows: Sequence[dict[str, object]]) -> None:
    """Leave these rotations and no other."""

    def work(connection: Connection) -> None:
        with unguarded(connection):
            connection.execute(delete(rotations))
            connection.execute(insert(rotations), list(rows))

    await store.database.write(work)


def on_table(store: Store) -> str:
    return "" if store.url.get_backend_name() == "sqlite" else " ON rotations"


def counted(
    store: Store, scope: StatisticsQuery, interval: Interval
) -> tuple[list[Tally], dict[tuple[date | None, SeriesKey], float], dict[tuple[date | None, SeriesKey], float]]:
    """Count; returns the tallies, and the medians by interval and over all."""
    with open_snapshot(store.url) as connection:
        statistics = SqlStatistics(connection, scope)
        return statistics.tallies(interval), statistics.medians(interval), statistics.medians()


async def test_each_kind_is_counted_by_the_interval_of_its_request(store: Store) -> None:
    sunday = FIRST + timedelta(days=6, hours=23, minutes=59, seconds=59.999999)
    await fill(
        store,
        [
            row(1, FIRST, 10, State.SUCCEEDED),
            row(2, sunday, 20, State.SUCCEEDED),
            row(3, sunday + timedelta(microseconds=1), 40, State.SUCCEEDED),
            row(4, sunday, 30, State.UNKNOWN),
            row(5, sunday, 30, State.UNKNOWN, resolved_as="failed"),
            row(6, sunday, None, State.REQUESTED, group="default"),
            row(7, sunday, 1, State.FAILED, organization="globex"),
        ],
    )
    succeeded, unknown = SeriesKey(PAYMENTS, RequestStatus.SUCCEEDED), SeriesKey(PAYMENTS, RequestStatus.UNKNOWN)
    week, next_week = FIRST.date(), date(2026, 10, 5)
    tallies, by_week, over_all = counted(store, OURS, Interval.WEEK)

    assert sorted(tallies, key=str) == sorted(
        [
            Tally(week, succeeded, 2, 0),
            Tally(next_week, succeeded, 1, 0),
            Tally(week, unknown, 2, 1),
            Tally(week, SeriesKey(GroupName("default"), RequestStatus.REQUESTED), 1, 0),
        ],
        key=str,
    )
    assert by_week == pytest.approx({(week, succeeded): 15, (next_week, succeeded): 40, (week, unknown): 30}, abs=1e-3)
    assert over_all == pytest.approx({(None, succeeded): 20, (None, unknown): 30}, abs=1e-3)


async def test_refused_commands_are_counted_and_refused_presses_are_not(store: Store) -> None:
    rotation = await store.request()
    for action, group in ((Action.DENIED, PAYMENTS), (Action.DENIED, PAYMENTS), (Action.REJECTED, None)):
        await store.trail.append(Event(action, ALICE, ACME, group))
    await store.trail.append(Event(Action.DENIED, ALICE, ACME, PAYMENTS, rotation.id))
    await store.trail.append(Event(Action.READING_DENIED, ALICE, ACME, PAYMENTS))
    await store.trail.append(Event(Action.DENIED, ALICE, Organization("globex"), PAYMENTS))
    tallies, _, medians = counted(store, OURS, Interval.MONTH)

    assert sorted((str(tally.key.group), tally.key.outcome, tally.count) for tally in tallies) == [
        ("None", RequestStatus.REJECTED, 1),
        ("payments", RequestStatus.DENIED, 2),
        ("payments", RequestStatus.REQUESTED, 1),
    ]
    assert medians == {}


async def test_a_scope_narrows_what_is_counted(store: Store) -> None:
    days = [FIRST + timedelta(days=day) for day in range(4)]
    rows = [
        row(day, at, 5, State.SUCCEEDED, group="default" if day == 1 else "payments") for day, at in enumerate(days)
    ]
    await fill(store, rows)
    scopes = (
        StatisticsQuery(),
        StatisticsQuery(Organization("globex")),
        StatisticsQuery(ACME, PAYMENTS),
        StatisticsQuery(ACME, since=days[1]),
        StatisticsQuery(ACME, until=days[1]),
        StatisticsQuery(ACME, PAYMENTS, days[1], days[3]),
    )
    found = [[tally.start for tally in counted(store, scope, Interval.DAY)[0]] for scope in scopes]

    dates = [day.date() for day in days]
    assert [sorted(each) for each in found] == [
        dates, [], [dates[0], *dates[2:]], dates[1:], dates[:1], [dates[2]],
    ]  # fmt: skip


moments = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - a zone is added
asked = st.tuples(
    moments,
    st.none() | st.integers(0, 600_000).map(lambda milliseconds: milliseconds / 1000),
    st.sampled_from([State.SUCCEEDED, State.FAILED, State.UNKNOWN]),
    st.sampled_from(["payments", "default"]),
    st.sampled_from([None, "failed"]),
)


@given(requests=st.lists(asked, min_size=1, max_size=30), interval=st.sampled_from(Interval))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_was_asked_is_counted_as_by_hand(
    store: Store, requests: list[tuple[datetime, float | None, State, str, str | None]], interval: Interval
) -> None:
    judged = [
        (at, s, state, group, judge if state is State.UNKNOWN else None) for at, s, state, group, judge in requests
    ]
    rows = [
        row(number, at, seconds, state, group=group, resolved_as=judge)
        for number, (at, seconds, state, group, judge) in enumerate(judged)
    ]
    await fill(store, rows)
    by_hand: dict[tuple[date | None, SeriesKey], list[tuple[float | None, bool]]] = {}
    for at, seconds, state, group, judge in judged:
        one = (seconds, state is State.UNKNOWN and judge is None)
        for start in (interval.start(at.date()), None):
            by_hand.setdefault((start, SeriesKey(GroupName(group), RequestStatus(state))), []).append(one)
    medians = {
        key: median(ended)
        for key, ones in by_hand.items()
        if (ended := [seconds for seconds, _ in ones if seconds is not None])
    }
    tallies, by_interval, over_all = counted(store, OURS, interval)

    assert {(tally.start, tally.key): (tally.count, tally.unresolved) for tally in tallies} == {
        key: (len(ones), sum(unresolved for _, unresolved in ones))
        for key, ones in by_hand.items()
        if key[0] is not None
    }
    assert by_interval | over_all == pytest.approx(medians, abs=1e-3)
