"""Who does what, and which fault comes when: everything that the seed decides."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random

MOVES: Mapping[str, int] = {
    "asks": 10,
    "asks_twice": 1,
    "asks_with_a_secret": 1,
    "asks_for_what_is_forbidden": 1,
    "types_nonsense": 1,
    "reads_history": 1,
    "confirms": 10,
    "confirms_twice_at_once": 3,
    "confirms_and_is_delivered_again": 2,
    "confirms_and_cancels_at_once": 1,
    "cancels": 2,
    "presses_an_old_card": 3,
    "presses_the_card_of_somebody_else": 2,
    "forges_a_value": 1,
}
"""What people do, and how often in comparison."""

_PROCESS = {"kill": (0.0, 0.5), "restart": (0.0, 0.0), "pause": (0.3, 3.0)}
_SLACK = {
    "slack_fails": (0.5, 2.0),
    "slack_is_slow": (1.0, 2.0),
    "slack_limits": (0.5, 1.5),
    "slack_refuses_connections": (0.3, 1.5),
    "response_urls_are_dead": (0.5, 2.0),
    "slack_keeps_its_answers": (0.2, 1.0),
    "sockets_are_lost": (0.0, 0.1),
}
_TURSO = {
    "turso_answers_5xx": (0.5, 1.5),
    "turso_hangs": (0.5, 1.5),
    "turso_breaks_off": (0.5, 1.5),
    "turso_is_slow": (0.5, 1.5),
    "turso_limits": (0.5, 1.5),
    "turso_answers_408": (0.5, 1.5),
    "turso_answers_html": (0.5, 1.5),
    "turso_refuses": (0.5, 1.5),
    "turso_refuses_connections": (0.5, 1.5),
}
_OPERATORS = {"grants_are_taken": (0.3, 2.0), "somebody_notes": (0.0, 0.0), "somebody_judges": (0.0, 0.0)}
_MEDDLING = {"guard_is_missing": (0.5, 2.0), "row_is_spoiled": (0.5, 2.0)}
_DATABASE = {
    "postgresql": {
        "server_crashes": (0.1, 1.5),
        "server_stands_still": (0.5, 3.0),
        "database_is_read_only": (0.5, 2.0),
        **_MEDDLING,
    },
    "sqlite": {"file_is_locked": (0.3, 2.5), **_MEDDLING},
}
FAULTS = (_PROCESS, _SLACK, _TURSO, _OPERATORS, *_DATABASE.values())
"""Every fault, each with how long it lasts, in seconds from and to."""
REPLICAS = {"postgresql": 2, "sqlite": 1}
FAMILIES = ("process", "database", "slack", "turso", "operators")
_REST_SECONDS = {
    "process": (1.5, 5.0),
    "database": (3.0, 7.0),
    "slack": (1.5, 5.0),
    "turso": (0.3, 1.5),
    "operators": (0.5, 3.0),
}
"""How long each family of faults leaves people alone, from and to."""
_LONG_PAUSE_FROM = {"postgresql": 25.0, "sqlite": 60.0}
"""Seconds of torture from which on a process stands still for longer than its lease; on SQLite it is the only one."""


@dataclass(frozen=True)
class Planned:
    """A fault that is to come."""

    at: float
    """Seconds since the beginning."""
    lasts: float
    name: str
    replica: int = 0
    draw: float = 0.0
    """What a fault decides by, from 0 to 1."""


def rng_for(seed: int, *whose: object) -> Random:
    """Return the random numbers of one part of the run, which no other part can disturb."""
    return Random(":".join(map(str, (seed, *whose))))  # noqa: S311 - a seed must reproduce it


def plan(
    seed: int, seconds: float, database: str, lease_seconds: float, families: Collection[str] = FAMILIES
) -> list[list[Planned]]:
    """Plan the faults of each family, and of the processes for each replica; those of one never overlap."""
    kinds = {"slack": _SLACK, "turso": _TURSO, "operators": _OPERATORS, "database": _DATABASE[database]}
    planned = [
        list(_family(rng_for(seed, database, name), _REST_SECONDS[name], faults, seconds))
        for name, faults in kinds.items()
        if name in families
    ]
    for replica in range(REPLICAS[database] if "process" in families else 0):
        rng = rng_for(seed, database, "process", replica)
        first = []
        if replica == 0 and seconds >= _LONG_PAUSE_FROM[database]:
            first = [Planned(rng.uniform(1.0, 3.0), lease_seconds + 1.0, "pause", replica, rng.random())]
        since = sum(each.at + each.lasts for each in first)
        rest = _family(rng, _REST_SECONDS["process"], _PROCESS, seconds, since=since, replica=replica)
        planned.append([*first, *rest])
    return planned


def move(rng: Random) -> str:
    """Choose what somebody does next."""
    return rng.choices(list(MOVES), list(MOVES.values()))[0]


def _family(
    rng: Random,
    rest: tuple[float, float],
    faults: Mapping[str, tuple[float, float]],
    seconds: float,
    *,
    since: float = 0.0,
    replica: int = 0,
) -> Iterator[Planned]:
    at = since + rng.uniform(*rest)
    while at < seconds:
        name = rng.choice(list(faults))
        lasts = min(rng.uniform(*faults[name]), seconds - at)
        yield Planned(at, lasts, name, replica, rng.random())
        at += lasts + rng.uniform(*rest)
