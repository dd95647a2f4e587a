"""The boundary between failures and people: each failure becomes words, and each bug a reference number in the log."""

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from bot.domain.errors import BotError, DatabaseError, DuplicateDelivery, UnreadableRow
from bot.domain.refusals import Refusal

Tell = Callable[[BotError], Coroutine[Any, Any, object]]
"""Shows a failure where the person is looking: in the channel, in a modal or on the Home tab."""
CountRefusal = Callable[[Refusal, DatabaseError | None], None]
"""Counts a command or press that changed nothing: a `Refusal`, and the failure of the database that it was."""

log = structlog.get_logger(__name__)


class UnexpectedError(BotError):
    """A bug, or a row that cannot be read; its reference number leads to the line in the log."""

    def __init__(self, reference: str, row: UnreadableRow | None = None) -> None:
        what = row or "Something went wrong unexpectedly."
        super().__init__(f"{what} The bot's log has details under {reference}.")
        self.row = row
        self.reference = reference


@asynccontextmanager
async def explained(tell: Tell, refused: CountRefusal) -> AsyncIterator[None]:
    """Turn every failure into words for the person, and count it."""
    try:
        yield
    except DuplicateDelivery as error:
        refused(error.refusal, None)
        log.info("delivered twice")
    except UnreadableRow as error:
        reference = secrets.token_hex(4)
        log.error("row cannot be read", reference=reference, why=str(error))  # noqa: TRY400 - no bug: the row is broken
        refused(error.refusal, None)
        await tell(UnexpectedError(reference, error))
    except BotError as error:
        log.debug("failure explained", error=type(error).__name__)
        refused(error.refusal, error if isinstance(error, DatabaseError) else None)
        await tell(error)
    except Exception:
        reference = secrets.token_hex(4)
        log.exception("bug", reference=reference)
        refused(Refusal.OTHER, None)
        await tell(UnexpectedError(reference))
