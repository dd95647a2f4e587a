"""Traces of the real process, as a collector on this machine receives them."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, asks, connect, id_on
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

CONFIRM = "rotation:confirm"


class Collector:
    """Takes traces as OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[Span] = []
        self.url = ""
        self.refusals = 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.refusals:
            self.refusals -= 1
            raise web.HTTPServiceUnavailable
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        received = ExportTraceServiceRequest.FromString(body)
        self.spans += [span for each in received.resource_spans for scope in each.scope_spans for span in scope.spans]
        async with self._changed:
            self._changed.notify_all()
        return web.Response(content_type="application/x-protobuf")

    async def received(self, *names: str) -> None:
        """Wait until there are spans with these names."""
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: set(names) <= {span.name for span in self.spans})

    def trace(self, name: str) -> list[str]:
        """Name the spans of the newest trace that began with a span of this name, in their order."""
        root = [span for span in self.spans if span.name == name and not span.parent_span_id][-1]
        below = [span for span in self.spans if span.trace_id == root.trace_id]
        return [span.name for span in sorted(below, key=lambda span: span.start_time_unix_nano)]

    def facts(self, name: str) -> dict[str, object]:
        """Read the attributes of the newest span of this name."""
        span = [span for span in self.spans if span.name == name][-1]
        return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


@pytest.fixture
def changes(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=c0llector%20key",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "rotations",
    }


async def test_a_command_and_a_press_are_traced_without_what_is_private(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, collector: Collector
) -> None:
    card = await asks(slack, ALICE, "payments because it leaked")
    turso.inject(FixedResponse(500, b'{"error": "secret words"}'))
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Unknown: the tokens of payments")
    await slack.types(ALICE, "/turso-rotate nowhere because it leaked")
    await slack.sees(ALICE, "no group called")
    await collector.received("command", "press", "turso.rotate", "turso.group_info")
    sent = b"".join(collector.bodies)
    press = collector.trace("press")

    assert press[:2] == ["press", "database.read"]
    assert press.count("turso.rotate") == 1
    assert press.index("database.write") < press.index("turso.rotate") < len(press) - 1  # claimed, called, recorded
    assert collector.facts("press")["rotation"] == id_on(card)
    assert collector.facts("turso.rotate") == {"state": "unknown", "status": 500}
    assert b"rotations" in sent
    assert {headers["x-api-key"] for headers in collector.headers} == {"c0llector key"}
    for private in ("because", "leaked", "secret words", ALICE.user_id, "xoxb", "local-turso-token", "c0llector"):
        assert private.encode() not in sent
    assert "c0llector" not in bot.output


async def test_a_failure_is_one_word_in_its_span(
    slack: LocalSlack, bot: BotProcess, collector: Collector, tmp_path: Path
) -> None:
    card = await asks(slack, ALICE, "payments")
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "This press rotated nothing")
        await collector.received("press")
    failed = [span for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]

    assert {(span.name, span.status.message) for span in failed} == {("database.write", "DatabaseUnavailable")}
    assert [event for span in collector.spans for event in span.events] == []


async def test_the_end_of_the_process_sends_what_is_left(
    slack: LocalSlack, settings: dict[str, str], collector: Collector, tmp_path: Path
) -> None:
    async with BotProcess(tmp_path, settings | {"OTEL_BSP_SCHEDULE_DELAY": "600000"}) as bot:
        await connect(slack, bot, settings)
        await asks(slack, ALICE, "payments")
        nothing = len(collector.spans)
        collector.refusals = 1  # it is asked again a second later
        await bot.signals(signal.SIGTERM)
        code = await bot.ended()

    assert nothing == 0
    assert code == 0
    assert "command" in {span.name for span in collector.spans}


class TestACollectorThatIsAway:
    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    async def test_it_holds_nobody_up(self, slack: LocalSlack, bot: BotProcess) -> None:
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")
        began = asyncio.get_running_loop().time()
        await bot.signals(signal.SIGTERM)
        code = await bot.ended()

        assert code == 0
        assert asyncio.get_running_loop().time() - began < 8


class TestWithoutThePackages:
    @pytest.fixture
    def changes(self, collector: Collector, tmp_path: Path) -> dict[str, str]:
        absent = tmp_path / "absent" / "opentelemetry"
        absent.mkdir(parents=True)
        (absent / "__init__.py").write_text("raise ImportError('not installed')\n")
        root = Path(__file__).parents[2]
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "PYTHONPATH": f"{absent.parent}:{root}"}

    async def test_the_bot_works_and_says_what_is_missing(
        self, slack: LocalSlack, bot: BotProcess, collector: Collector
    ) -> None:
        await asks(slack, ALICE, "payments")
        said = await bot.logs("no traces: OpenTelemetry is not installed")

        assert "uv sync --extra otel" in said["fix"]
        assert collector.bodies == []


class TestWithoutAnEndpoint:
    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"PYTHONPROFILEIMPORTTIME": "1"}

    async def test_nothing_of_it_is_loaded(self, slack: LocalSlack, bot: BotProcess) -> None:
        await asks(slack, ALICE, "payments")

        assert "import time:" in bot.output
        assert "opentelemetry" not in bot.output
