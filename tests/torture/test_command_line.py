"""`make torture`: what it takes, and that the seed decides what is planned."""

import itertools

import pytest

from tests.torture import schedule
from tests.torture.__main__ import run_configs
from tests.torture.run import LEASE_SECONDS, RunConfig


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "0"], ["--seconds", "soon"], ["--seed", "x"], ["--database", "mysql"], ["--mistake", "none"]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_configs(arguments)

    assert end.value.code == 2
    assert "usage: python -m tests.torture" in capsys.readouterr().err


def test_both_databases_are_tortured_for_two_minutes_in_both_modes() -> None:
    runs = run_configs(["--seed", "7"])

    assert [(run.seed, run.seconds, run.database) for run in runs] == [(7, 120, "sqlite"), (7, 120, "postgresql")]
    assert {run.mode for run in runs} == {"http", "socket"}


def test_the_same_seed_plans_the_same_faults_and_moves() -> None:
    first, again, other = (RunConfig(seed, 30, "postgresql", "http") for seed in (1, 1, 2))
    moves = [[schedule.move(schedule.rng_for(seed, "U1")) for _ in range(20)] for seed in (1, 1)]

    assert first.plan == again.plan
    assert first.plan != other.plan
    assert moves[0] == moves[1]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_one_process_stands_still_for_longer_than_its_lease_and_families_take_turns(database: str) -> None:
    plan = RunConfig(3, 60, database, "http").plan
    families = [[(each.at, each.at + each.lasts) for each in family] for family in plan]

    assert any(each.name == "pause" and each.lasts > LEASE_SECONDS for family in plan for each in family)
    assert all(end <= begin for family in families for (_, end), (begin, _) in itertools.pairwise(family))


def test_every_fault_and_every_move_comes_in_a_long_run() -> None:
    planned = {
        each.name
        for kind in ("sqlite", "postgresql")
        for family in RunConfig(1, 600, kind, "http").plan
        for each in family
    }
    rng = schedule.rng_for(1)

    assert planned == {name for names in schedule.FAULTS for name in names}
    assert {schedule.move(rng) for _ in range(2000)} == set(schedule.MOVES)
