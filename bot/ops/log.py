"""Logs, redacted: one pipeline for everything that the process logs."""

import json
import logging
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.config import LogFormat, LogLevel
from bot.domain.text import escaped
from bot.ops.redaction import Redactor

# Their debug records contain whole request bodies: tokens, response_urls, socket tickets.
_CHATTY = ("alembic", "slack_bolt", "slack_sdk", "aiohttp", "httpx", "httpcore", "uvicorn.access", "sqlalchemy")


class _Redacting:
    """Redacts an event, as the last processor before rendering."""

    def __init__(self, redactor: Redactor) -> None:
        self._key = lru_cache(redactor.text)  # the same few keys in every line
        self._item = redactor.item

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {self._key(key): self._item(key, value) for key, value in event.items()}


def configure(
    level: LogLevel = "info",
    style: LogFormat | None = None,
    secrets: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
) -> Redactor:
    """Send everything that is logged, warned or uncaught in this process through one redacted pipeline.

    Without a `style`, a terminal gets text, and anything else one JSON object per line. `stream` is standard error by
    default. Return the redactor, for other output of the process.
    """
    out = stream or sys.stderr
    redactor = Redactor(secrets)
    handler = _Handler(out)
    handler.setFormatter(_Formatter(redactor, colors=out.isatty(), style=style))
    handler.addFilter(_is_printable)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    _quieten(logging.root.level)
    _configure_structlog()
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_uncaught_in_thread
    sys.unraisablehook = _on_unraisable
    return redactor


class _Formatter(ProcessorFormatter):
    """Renders the records of structlog and of `logging`, and redacts the rendered line once more."""

    def __init__(self, redactor: Redactor, *, colors: bool, style: LogFormat | None) -> None:
        as_text = style == "console" or (style is None and colors)
        super().__init__(
            foreign_pre_chain=_shared(),
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _Redacting(redactor),
                *(_console(colors=colors) if as_text else (_json,)),
            ],
        )
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        return self._redactor.text(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines, without Python's fallback of printing a record's raw arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report where a record could not be rendered; Python's own report would show its arguments."""
        where = f"{PurePath(record.pathname).name}:{record.lineno}"
        failure = type(sys.exc_info()[1]).__name__
        line = {"at": datetime.now(UTC).isoformat(), "level": "error", "event": "a log record could not be written"}
        try:
            self.stream.write(json.dumps(line | {"where": where, "failure": failure}) + "\n")
        except (OSError, ValueError):
            return  # the stream itself is gone


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]


def _configure_structlog() -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared(), ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("at", "level", "event") if key in event}
    return json.dumps(first | dict(event))


def _console(*, colors: bool) -> tuple[Processor, ...]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
    )
    return _escape, renderer


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what could forge a line or control the terminal; a traceback keeps its line breaks."""
    return {
        key: escaped(value, keep="\n" if key in {"exception", "stack"} else "") if isinstance(value, str) else value
        for key, value in event.items()
    }


def _quieten(level: int) -> None:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _is_printable(record: logging.LogRecord) -> bool:
    """Drop what chatty libraries log below a warning."""
    return record.levelno >= logging.WARNING or not _is_chatty(record.name, record.pathname)


@lru_cache(maxsize=1024)
def _is_chatty(name: str, pathname: str) -> bool:
    """Recognise a chatty library by the logger's name or by its file.

    slack-bolt 1.30 names loggers after the app's file, and copies the root's level into each.
    """
    named = any(name == each or name.startswith(f"{each}.") for each in _CHATTY)
    return named or bool({"slack_bolt", "slack_sdk"} & set(PurePath(pathname).parts))


def _on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("bot").critical("uncaught exception", exc_info=(kind, error, trace))


def _on_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        logging.getLogger("bot").critical(
            "uncaught exception in a thread", exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )


def _on_unraisable(args: Any) -> None:
    error = args.exc_value or args.exc_type()
    logging.getLogger("bot").error(
        "exception ignored in %r", args.object, exc_info=(args.exc_type, error, args.exc_traceback)
    )
