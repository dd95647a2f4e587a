"""What a method of Slack's Web API is: a handler, the scope it needs, and how it says no."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Arguments = dict[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """One method; `scope` is what the bot token must have been granted for it."""

    answers: Callable[[Arguments], Answer]
    scope: str | None = None


Methods = Mapping[str, Method]


class SaysNoError(Exception):
    """Slack refuses, with an error code and perhaps details."""

    def __init__(self, error: str, **detail: object) -> None:
        super().__init__(error)
        self.answer: Answer = {"ok": False, "error": error, **detail}


def invalid_blocks(problems: list[str], error: str = "invalid_blocks") -> SaysNoError:
    """Say which limits the blocks break."""
    messages = [f"[ERROR] {problem}" for problem in problems]
    return SaysNoError(error, errors=problems, response_metadata={"messages": messages})
