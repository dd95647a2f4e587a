"""A method of Slack's Web API: its implementation, the scope it needs, and its errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.sandbox.json_object import JsonObject


@dataclass(frozen=True, slots=True)
class Method:
    """One method; the bot token needs `scope` for it."""

    call: Callable[[JsonObject], JsonObject]
    scope: str | None = None


Methods = Mapping[str, Method]


class MethodError(Exception):
    """Slack rejects the call, with an error code and perhaps details."""

    def __init__(self, error: str, **details: object) -> None:
        super().__init__(error)
        self.response: JsonObject = {"ok": False, "error": error, **details}


def invalid_blocks(problems: list[str], error: str = "invalid_blocks") -> MethodError:
    """Build the error that lists which limits the blocks break."""
    messages = [f"[ERROR] {problem}" for problem in problems]
    return MethodError(error, errors=problems, response_metadata={"messages": messages})
