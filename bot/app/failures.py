"""What the sweeper could not do: rows that cannot be read, and bugs, each logged once and known until it is gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bot.domain.errors import BotError

_NAMED = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    words: str
    until: float


class Failures:
    """The failures of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Failure] = {}

    def __len__(self) -> int:
        return len(self._known)

    def note(self, key: str, error: Exception, seconds: float = 0.0) -> None:
        """Take note of a failure that is tried again within so many seconds; log it if it is new.

        The text of a bug stays in the log: it may quote anything.
        """
        explained = isinstance(error, BotError)
        words = str(error) if explained else f"{key}: a bug ({type(error).__name__}). The log has the traceback."
        known = self._known.get(key)
        if known is None or known.words != words:
            log.error("sweep failed", what=key, why=words, exc_info=None if explained else error)
        self._known[key] = _Failure(words, self._clock() + seconds)

    def forget(self, before: float) -> None:
        """Forget what should have failed again by a moment of the clock, and did not."""
        for key, failure in list(self._known.items()):
            if failure.until < before:
                del self._known[key]
                log.info("sweep works again", what=key)

    def named(self) -> list[str]:
        """Describe them, the first few by name."""
        words = [failure.words for failure in self._known.values()]
        more = len(words) - _NAMED
        return words[:_NAMED] + ([f"{more} more: the log names them."] if more > 0 else [])
