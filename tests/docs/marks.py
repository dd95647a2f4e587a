"""The marks that tests carry in their source."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
    return {name for name, _ in _carriers(mark, folder)}


@cache
def marked(mark: str) -> dict[object, set[str]]:
    """Map each argument of `@pytest.mark.<mark>(…)` to the names of the tests that carry it."""
    found: dict[object, set[str]] = defaultdict(set)
    for name, arguments in _carriers(mark):
        for argument in arguments:
            found[ast.literal_eval(argument)].add(name)
    return found


def _carriers(mark: str, folder: str = "tests") -> Iterator[tuple[str, Sequence[ast.expr]]]:
    """Yield the name of each test that carries a mark, with the mark's arguments."""
    for test in definitions(folder):
        for decorator in test.decorator_list:
            called, arguments = (decorator.func, decorator.args) if isinstance(decorator, ast.Call) else (decorator, [])
            if ast.unparse(called) == f"pytest.mark.{mark}":
                yield test.name, arguments
