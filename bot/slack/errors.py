"""The one boundary between failures and people: each becomes words, and a bug a reference that stands in the log."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from bot.domain.errors import BotError, DuplicateDelivery

Tell = Callable[[BotError], Awaitable[object]]
"""Shows a failure where the person looks: in the channel, in a modal or on the Home tab."""

log = structlog.get_logger(__name__)


class UnexpectedError(BotError):
    """A failure nobody foresaw, under the reference by which the log knows it."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"Something went wrong that should not. Its reference is {reference} in the bot's log.")
        self.reference = reference


@asynccontextmanager
async def explained(tell: Tell) -> AsyncIterator[None]:
    """Turn every failure into words."""
    try:
        yield
    except DuplicateDelivery:
        log.info("delivered twice")
    except BotError as error:
        log.debug("answered no", error=type(error).__name__)
        await tell(error)
    except Exception:
        reference = secrets.token_hex(4)
        log.exception("bug", reference=reference)
        await tell(UnexpectedError(reference))
