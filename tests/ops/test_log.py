"""Logs, whatever is thrown at them."""

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy.engine import make_url

from bot.config import LogFormat, Settings
from bot.domain.secrets import REDACTED
from bot.ops.log import configure
from bot.ops.redaction import Redactor

# The lengths and letters of the real ones; a password may hold anything.
_letters = st.characters(min_codepoint=33, max_codepoint=126)
tokens = st.text(_letters, min_size=8, max_size=60)
passwords = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=30).filter(
    lambda text: len(set(text)) > 4 and text not in REDACTED
)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what `configure` does to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)


class Lines(io.StringIO):
    """A stream that knows what was logged to it."""

    @property
    def text(self) -> str:
        return self.getvalue()

    @property
    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines() -> Lines:
    return Lines()


def spellings(secret: str) -> set[str]:
    """Every form that a secret may take on its way into a line."""
    plain = {secret, repr(secret)[1:-1], repr(secret.encode())[2:-1], json.dumps(secret)[1:-1]}
    return plain | {quote(secret), quote_plus(secret), json.dumps(json.dumps(secret))[3:-3], repr(repr(secret))[2:-2]}


def settings_with(token: str, password: str) -> Settings:
    database = make_url("postgresql://db/bot?sslmode=verify-full").set(username="bot", password=password)
    return Settings.model_validate(
        {
            "slack_bot_token": f"xoxb-{token}",
            "slack_app_token": f"xapp-{token}",
            "slack_signing_secret": token,
            "turso_organization": "acme",
            "turso_api_token": token,
            "turso_group_tokens": {"payments": token},
            "audit_key": token * 2,
            "audit_keys_before": [token * 3],
            "database_url": database.update_query_dict({"sslpassword": password[::-1]}),
            "otel_exporter_otlp_headers": {"x-api-key": token[::-1]},
        }
    )


def say_everywhere(secret: str, told: Settings) -> None:
    """Log a secret in every way that a line can be written."""
    event, plain = structlog.get_logger("bot.test"), logging.getLogger("slack_bolt.Listener")
    nested = {
        "headers": [{"x": secret, secret: (secret, {secret})}, {secret.encode(): bytearray(secret.encode())}],
        "raw": secret.encode(),
        "settings": told,
        "body": json.dumps({"inner": json.dumps([secret])}),
        "form": f"a={quote_plus(secret)}&b={quote(secret)}",
        "holder": Holder(secret, {"deep": [secret]}),
        "shown": repr([secret, "'", '"']),
    }
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(event, level)(f"event {secret}", argument=secret, settings=told, **{f"k{secret}": 1})
        getattr(plain, level)("message %s %s", secret, secret.encode())
        getattr(plain, level)("message %(value)s", {"value": secret})
    event.error("nested", nested=nested, stack_info=True)
    plain.error("nested %r %s", nested, nested, stack_info=True)
    for error in (chained(secret, nested), grouped(secret), KeyError(secret.encode()), OSError(5, secret, secret)):
        event.error("failed", exc_info=error, error=error)
        plain.error("failed %s %r", error, error, exc_info=error)
    try:
        Settings.model_validate({"slack_bot_token": secret, "port": secret})
    except ValidationError as error:
        event.exception(str(error))
    plain.error("%d arguments do not fit", secret, nested)


@dataclass(frozen=True)
class Holder:
    """Something whose `repr` shows what it holds."""

    secret: str
    more: object


def chained(secret: str, nested: object) -> Exception:
    """Fail while handling a failure, with the secret in each, in their notes and in the locals."""
    local = {"secret": secret, "nested": nested}
    try:
        try:
            raise KeyError(nested)  # noqa: TRY301 - the failure is the point
        except KeyError as inner:
            inner.add_note(f"see {local}")
            raise RuntimeError(secret.encode(), [secret]) from inner
    except RuntimeError as middle:
        try:
            int(secret + "!")
        except ValueError as outer:
            outer.__cause__ = middle
            return outer
    raise AssertionError


def grouped(secret: str) -> Exception:
    """Fail several times at once."""
    return ExceptionGroup(secret, [ValueError(secret), ExceptionGroup("inner", [TypeError({secret: secret})])])


def test_the_settings_below_hold_every_secret_that_there_is() -> None:
    told = settings_with("x" * 20, "p4ssw0rd" * 2)
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}

    assert {name for name in secret if not getattr(told, name)} == set()
    assert len(told.secrets()) == len(secret) + len(["the database's password", "its key's password"])


@pytest.mark.parametrize("style", ["json", "console"])
@settings(max_examples=6)  # each logs hundreds of lines, for every setting
@given(token=tokens, password=passwords)
def test_no_secret_of_any_setting_is_ever_printed(style: LogFormat, token: str, password: str) -> None:
    told = settings_with(token, password)
    out = Lines()
    configure("debug", style, told.secrets(), stream=out)

    for secret in sorted({*told.secrets()}):
        say_everywhere(secret, told)

    boilerplate = Lines()
    configure("debug", style, stream=boilerplate)
    say_everywhere("", told)
    found = [form for secret in told.secrets() for form in spellings(secret) if form in out.text]
    assert [form for form in found if form not in boilerplate.text] == []
    assert style == "console" or all(out.records)


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("xoxb-123-abc and xapp-1-A-b", "[redacted] and [redacted]"),
        ("xoxe.xoxp-1-abc", "[redacted]"),
        ("POST https://hooks.slack.com/commands/T1/2/abc 200", "POST [redacted] 200"),
        ("x https%3A%2F%2Fhooks.slack.com%2Factions%2FT1 y", "x [redacted] y"),
        ("POST http://127.0.0.1:99/response/abc-1 404", "POST [redacted] 404"),
        ("jwt eyJhbGciOi.eyJpc3Mi.c2ln!", "jwt [redacted]!"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("wss://wss.slack.com/link/?ticket=1-a&app_id=2", "wss://wss.slack.com/link/?ticket=[redacted]&app_id=2"),
        ("trigger_id=1.2.abc&text=payments", "trigger_id=[redacted]&text=payments"),
        ('{"trigger_id": "1.2.abc"}', '{"trigger_id": "[redacted]"}'),
        ("13345224609.738474920.8088930838d88f008e0", "[redacted]"),
        ("{'response_url': 'http://a/b'}", "{'response_url': '[redacted]'}"),
        ("postgresql+psycopg://bot:hunter2@db/bot", "postgresql+psycopg://bot:[redacted]@db/bot"),
        ("v0=" + "a2" * 32, "[redacted]"),
    ],
)
def test_what_looks_like_a_secret_is_not_printed(said: str, printed: str) -> None:
    redactor = Redactor()

    assert redactor.text(said) == printed
    assert redactor.text(printed) == printed


@pytest.mark.parametrize(
    "said",
    [
        "TURSO_API_TOKEN: must be printable",
        "POST https://api.turso.tech/v1/organizations/acme/groups/payments/auth/rotate 200",
        "listening on http://127.0.0.1:3000",
        "the token is invalid",
        "rotation 01J9 of payments by U024BE7LH at 2026-10-01T12:00:00.123456Z",
    ],
)
def test_what_operators_need_is_printed(said: str) -> None:
    assert Redactor(["bot", "hunter2hunter2"]).text(said) == said


def test_a_short_secret_is_replaced_only_where_it_stands_alone() -> None:
    assert Redactor(["bot"]).text("bot:bot robot") == "[redacted]:[redacted] robot"


def test_a_value_is_hidden_whole_where_its_name_says_enough(lines: Lines) -> None:
    configure("info", "json", stream=lines)

    structlog.get_logger("bot").info("asked", Password='two "words"', payload={"trigger_id": ["a b", "c"]})

    (record,) = lines.records
    assert (record["Password"], record["payload"]) == (REDACTED, {"trigger_id": REDACTED})


def test_a_number_that_is_a_secret_is_hidden_in_valid_json(lines: Lines) -> None:
    configure("info", "json", ["1234567890"], stream=lines)

    structlog.get_logger("bot").info("asked", pin=1234567890, other=[12345678901, 5])

    (record,) = lines.records
    assert (record["pin"], record["other"]) == (REDACTED, [f"{REDACTED}1", 5])


def test_a_secret_that_only_rendering_puts_together_is_hidden(lines: Lines) -> None:
    configure("info", "console", ["payments=full-access"], stream=lines)

    structlog.get_logger("bot").info("asked", payments="full-access")

    assert "full-access" not in lines.text


def test_a_json_line_begins_with_when_and_what(lines: Lines) -> None:
    configure("info", None, stream=lines)

    structlog.get_logger("bot.x").info("rotation.started", group="payments", count=2, ok=True, none=None)
    logging.getLogger("elsewhere").warning("%s disk", "full")

    first, second = lines.records
    assert list(first)[:3] == ["at", "level", "event"]
    assert str(first["at"]).endswith("Z")
    assert (first["level"], first["event"], first["group"]) == ("info", "rotation.started", "payments")
    assert (first["count"], first["ok"], first["none"]) == (2, True, None)
    assert (second["level"], second["event"], second["logger"]) == ("warning", "full disk", "elsewhere")


def test_a_terminal_line_cannot_be_forged(lines: Lines) -> None:
    configure("info", "console", stream=lines)

    structlog.get_logger("bot").info("asked", reason="a\n2026 [info] granted \x1b[2J")

    assert len(lines.text.splitlines()) == 1
    assert "\x1b" not in lines.text


@pytest.mark.parametrize("name", ["slack_bolt.AsyncApp", "slack_sdk", "aiohttp.access", "httpx", "sqlalchemy.engine"])
def test_chatty_libraries_are_quiet_below_a_warning(lines: Lines, name: str) -> None:
    configure("debug", "json", stream=lines)
    logger = logging.getLogger(name)

    logger.debug("body")
    logger.info("body")
    logger.warning("trouble")

    assert [record["event"] for record in lines.records] == ["trouble"]


def test_bolt_is_quiet_under_the_names_that_it_makes_up(lines: Lines) -> None:
    configure("debug", "json", stream=lines)
    logger = logging.getLogger("app.py:AsyncSomeMiddleware")
    path = str(Path("lib") / "slack_bolt" / "middleware.py")

    logger.handle(logger.makeRecord(logger.name, logging.DEBUG, path, 1, "body", (), None))

    assert lines.text == ""


def test_warnings_and_what_nobody_caught_end_in_the_log(lines: Lines) -> None:
    configure("info", "json", ["hunter2hunter2"], stream=lines)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn("careful: hunter2hunter2", stacklevel=1)
    thread = threading.Thread(target=int, args=("hunter2hunter2",))
    thread.start()
    thread.join()
    error = ValueError("hunter2hunter2")
    sys.excepthook(ValueError, error, None)

    assert [record["level"] for record in lines.records] == ["warning", "critical", "critical"]
    assert "hunter2" not in lines.text


async def test_what_a_task_left_behind_ends_in_the_log(lines: Lines) -> None:
    configure("info", "json", ["hunter2hunter2"], stream=lines)

    asyncio.get_running_loop().call_soon(int, "hunter2hunter2")
    await asyncio.sleep(0)  # one turn of the loop

    (record,) = lines.records
    assert (record["level"], record["logger"]) == ("error", "asyncio")
    assert "hunter2" not in lines.text


def test_a_record_that_cannot_be_written_says_where_it_is(lines: Lines) -> None:
    configure("info", "json", stream=lines)

    logging.getLogger("bot").info("%d", "a password")

    (record,) = lines.records
    assert str(record["where"]).startswith("test_log.py:")
    assert "a password" not in lines.text
