"""The marks that tests carry in their source."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests").rglob("test_*.py"))


@cache
def definitions() -> Sequence[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the definition of every test."""
    return [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


@cache
def marked(mark: str) -> dict[object, set[str]]:
    """Map each argument of `@pytest.mark.<mark>(…)` to the names of the tests that carry it."""
    found: dict[object, set[str]] = defaultdict(set)
    for test in definitions():
        for decorator in test.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{mark}":
                for argument in decorator.args:
                    found[ast.literal_eval(argument)].add(test.name)
    return found
