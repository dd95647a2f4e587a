"""The marks that tests carry in their source."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests").rglob("test_*.py"))


@cache
def definitions(folder: str = "tests") -> Sequence[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the definition of every test in a folder of the checkout."""
    return [
        node
        for path in FILES
        if path.is_relative_to(ROOT / folder)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def carrying(mark: str, folder: str) -> set[str]:
    """Name the tests in a folder of the checkout that carry a mark, with or without arguments."""
    return {
        test.name
        for test in definitions(folder)
        for decorator in test.decorator_list
        if ast.unparse(decorator).partition("(")[0] == f"pytest.mark.{mark}"
    }


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
