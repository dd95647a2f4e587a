"""`make torture`: what it takes, and that the seed decides what is planned."""

import ast
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture import evidence, facts, laws, schedule, tables
from tests.torture.__main__ import run_configs
from tests.torture.faults import KINDS
from tests.torture.laws.violation import LAWS
from tests.torture.mistakes import MISTAKES
from tests.torture.people import People
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


def test_the_same_seed_plans_the_same_faults_and_another_seed_plans_others() -> None:
    first, again, other = (RunConfig(seed, 30, "postgresql", "http") for seed in (1, 1, 2))

    assert first.plan == again.plan
    assert first.plan != other.plan


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_one_process_stands_still_for_longer_than_its_lease_and_families_take_turns(database: str) -> None:
    plan = RunConfig(3, 60, database, "http").plan
    families = [[(each.at, each.at + each.lasts) for each in family] for family in plan]

    assert any(each.name == "pause" and each.lasts > LEASE_SECONDS for family in plan for each in family)
    assert all(end <= begin for family in families for (_, end), (begin, _) in itertools.pairwise(family))


def test_every_fault_and_every_move_comes_in_a_long_run_and_is_a_method() -> None:
    planned = {
        each.name
        for kind in ("sqlite", "postgresql")
        for family in RunConfig(1, 600, kind, "http").plan
        for each in family
    }
    rng = schedule.rng_for(1)
    faults = {name for names in schedule.FAULTS for name in names}

    assert planned == faults
    assert {schedule.move(rng) for _ in range(2000)} == set(schedule.MOVES)
    assert [name for name in faults if sum(hasattr(kind, name) for kind in KINDS) != 1] == []
    assert [name for name in schedule.MOVES if not hasattr(People, f"_{name}")] == []


def test_a_plan_that_nobody_reads_to_its_end_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, writes = os.pipe()
    os.close(reads)

    with os.fdopen(writes, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as end:
            run_configs(["--seed", "1", "--plan"])

    assert end.value.code == 0


def test_every_mistake_can_be_planted_in_the_bot_of_today() -> None:
    plant_all = "from tests.torture.mistakes import MISTAKES\nfor _, plant in MISTAKES.values(): plant()"

    end = subprocess.run([sys.executable, "-c", plant_all], capture_output=True, text=True, check=False)

    assert (end.returncode, end.stderr) == (0, "")
    assert {law for law, _ in MISTAKES.values()} == set(LAWS) - {0}


def test_the_judge_imports_nothing_of_the_bot() -> None:
    judge = [
        *Path(laws.__file__).parent.glob("*.py"),
        *(Path(str(each.__file__)) for each in (facts, evidence, tables)),
    ]
    imported = {name for path in judge for node in ast.walk(ast.parse(path.read_text())) for name in _imported(node)}

    assert {name for name in imported if name.split(".")[:2] == ["tests", "torture"]}
    assert sorted(name for name in imported if name.split(".")[0] == "bot") == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}"] if isinstance(node, ast.ImportFrom) else []
