"""Put the bot together: open its parts in order, and close them in reverse."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot import __version__
from bot.app.health import Bot
from bot.app.http import build_site, serving
from bot.app.instrument import ObservedDatabase, ObservedRotationStore, ObservedTurso, Telemetry
from bot.app.sweeper import Sweeper
from bot.config import Settings
from bot.database_url import database_hosts
from bot.doctor.startup import startup_findings
from bot.domain.access import PolicySource
from bot.domain.errors import DatabaseError
from bot.domain.grants import Role
from bot.domain.models import Actor, ChannelId, Organization
from bot.domain.names import ID_LETTERS
from bot.domain.ports import RotationStore, Turso
from bot.domain.reading import History
from bot.domain.recording import OutcomeRecorder
from bot.domain.requests import Requests, RotationConfig, RotationPorts
from bot.domain.rotations import Rotations
from bot.ops.metrics import Metrics
from bot.ops.tracing import tracing
from bot.slack.bolt import Identity, build_app, identify
from bot.slack.endpoint import Endpoint
from bot.slack.history.listeners import HistoryListeners
from bot.slack.home.listeners import HomeListeners
from bot.slack.intake import Intake
from bot.slack.notifier import Notifier
from bot.slack.payloads import Installation, ResponseUrl
from bot.slack.replies import Reply, ReplyTo
from bot.slack.rotate import outcome
from bot.slack.rotate.listeners import RotationListeners
from bot.slack.sockets import open_socket
from bot.store import inspection
from bot.store.allowlist import SqlGrants
from bot.store.database import Database, open_database
from bot.store.key_check import check_key
from bot.store.schema import check_schema
from bot.store.stores import Stores
from bot.store.trail import SqlTrail
from bot.turso.client import TursoClient

SHUTDOWN_SECONDS = 25.0
"""How long running rotations may take to finish after SIGTERM; Kubernetes kills after 30."""
_SLACK_SECONDS = 5.0

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish running work within a time limit.

    Raises `BotError` if the bot cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_bot(settings) as bot:
        await stop.wait()
        log.info("stopping", in_flight=len(bot.tasks))
        left = await bot.finish(SHUTDOWN_SECONDS)
        log.info("stopped", abandoned=left)


@asynccontextmanager
async def open_bot(settings: Settings) -> AsyncIterator[Bot]:
    """Open the bot; it serves while the context is open. Raises `BotError` if it cannot start."""
    async with AsyncExitStack() as stack:
        telemetry = await _open_telemetry(stack, settings)
        metrics = telemetry.metrics
        database = ObservedDatabase(open_database(settings.database_url), telemetry)
        stack.push_async_callback(database.close)
        await check_schema(database)
        if forged := await check_key(database, settings.seal()):
            log.warning("audit trail", found=forged)
        slack = await open_slack(stack, settings)
        identity = await identify(slack.web)
        app = build_app(slack.web, identity)
        turso = await stack.enter_async_context(open_turso(settings, metrics))
        organization = Organization(settings.turso_organization)
        stores = Stores(database, settings.seal(), organization)
        policies = PolicySource(identity.team_id, stores.grants)
        observed = ObservedRotationStore(stores.rotations, telemetry)
        requests, rotations, recorder = build_use_cases(
            settings, policies, stores, observed, ObservedTurso(turso, telemetry)
        )
        notifier = build_notifier(settings, slack.web, slack.reply_to, stores, metrics)
        sweeper = Sweeper(recorder, notifier, stores, metrics)
        bot = Bot(recorder, sweeper, database, telemetry, settings.seal())
        stack.push_async_callback(_log_head, stores.trail, "audit trail at stop")
        stack.push_async_callback(bot.tasks.finish, 0)
        history = History(organization, policies, stores.grants, stores.history, stores.trail)
        installation = Installation(identity.team_id, identity.enterprise_id, settings.slack_api_url)
        intake = Intake(bot.tasks, telemetry.refused, slack.reply_to, installation)
        listeners = RotationListeners(requests, rotations, notifier, intake)
        listeners.register(app)
        HistoryListeners(history, intake, web=slack.web).register(app)
        HomeListeners(history, rotations, notifier, intake, web=slack.web).register(app)
        listeners.register_fallback(app)
        await sweeper.try_sweep()
        await _announce_start(database, stores.grants, identity, organization)
        _log_findings(settings, identity)
        await _log_head(stores.trail, "audit trail at start")
        await _start_serving(stack, settings, app, bot, metrics)
        yield bot


def build_use_cases(
    settings: Settings, policies: PolicySource, stores: Stores, store: RotationStore, turso: Turso
) -> tuple[Requests, Rotations, OutcomeRecorder]:
    """Build the use cases of a rotation; `store` is the one of `stores`, possibly observed."""
    organization, hosts = Organization(settings.turso_organization), database_hosts(settings.database_url)
    config = RotationConfig(organization, settings.confirm_ttl, settings.turso_timeout, hosts)
    ports, recorder = RotationPorts(policies, store, stores.trail, turso, _new_id), OutcomeRecorder(store)
    return Requests(config, ports), Rotations(config, ports, recorder), recorder


def build_notifier(
    settings: Settings, web: AsyncWebClient, reply_to: ReplyTo, stores: Stores, metrics: Metrics
) -> Notifier:
    """Build what tells people how rotations ended."""
    return Notifier(
        stores.outbox,
        stores.rotations,
        stores.trail,
        web=web,
        reply_to=reply_to,
        audit_channel=ChannelId(settings.audit_channel) if settings.audit_channel else None,
        metrics=metrics,
        ended=outcome.ended,
        announcement=outcome.announcement,
    )


async def _open_telemetry(stack: AsyncExitStack, settings: Settings) -> Telemetry:
    headers = {name: value.get_secret_value() for name, value in settings.otel_exporter_otlp_headers.items()}
    spans = tracing(settings.otel_exporter_otlp_endpoint, headers, __version__)
    return Telemetry(Metrics(__version__), await stack.enter_async_context(spans))


@dataclass(frozen=True, slots=True)
class Slack:
    """What sends to Slack; nothing is sent yet."""

    web: AsyncWebClient
    session: aiohttp.ClientSession

    def reply_to(self, reader: Actor, channel_id: ChannelId, response_url: ResponseUrl | None) -> Reply:
        """Return a reply to the reader."""
        return Reply(self.web, self.session, reader, channel_id, response_url)


async def open_slack(stack: AsyncExitStack, settings: Settings) -> Slack:
    """Open what sends to Slack, until the stack is closed."""
    limits = aiohttp.ClientTimeout(total=_SLACK_SECONDS)
    session = await stack.enter_async_context(aiohttp.ClientSession(timeout=limits))
    token = settings.slack_bot_token.get_secret_value()
    return Slack(AsyncWebClient(token, base_url=settings.slack_api_url, session=session), session)


def open_turso(settings: Settings, metrics: Metrics) -> TursoClient:
    """Return the client for Turso, an async context manager."""
    return TursoClient(
        organization=Organization(settings.turso_organization),
        base_url=settings.turso_api_url,
        api_token=settings.turso_api_token.get_secret_value() if settings.turso_api_token else None,
        group_tokens={group: token.get_secret_value() for group, token in settings.turso_group_tokens.items()},
        timeout=settings.turso_timeout,
        version=__version__,
        observe=metrics.exchanged,
    )


async def _announce_start(
    database: Database, grants: SqlGrants, identity: Identity, organization: Organization
) -> None:
    """Log which workspace and organization the bot serves, and warn if nobody may use it, or grants hold elsewhere."""
    log.info("starting", version=__version__, team=identity.team_id, organization=organization)
    held = await grants.all()
    if not any(grant.role is Role.ROTATE for grant in held.in_force):
        log.warning("no grant in force: nobody may rotate", fix="turso-rotate allow add USER --group GROUP")
    if others := [each for each in await inspection.organizations(database) if each != organization]:
        log.warning("the database also holds other organizations: grants hold for all of them", others=others)


def _log_findings(settings: Settings, identity: Identity) -> None:
    """Log what the doctor would warn about without a call."""
    for finding in startup_findings(settings, identity.scopes):
        log.warning("check-up", check=str(finding.check), found=finding.found, fix=finding.fix)


async def _log_head(trail: SqlTrail, when: str) -> None:
    """Log the head of the trail: the owner of the database cannot change the log."""
    try:
        log.info(when, head=str(await trail.head()))
    except DatabaseError as error:
        log.warning(when, head=None, why=str(error))


async def _start_serving(stack: AsyncExitStack, settings: Settings, app: AsyncApp, bot: Bot, metrics: Metrics) -> None:
    """Start to serve: over Socket Mode if there is an app-level token, else over HTTP."""
    endpoint = None
    if settings.slack_app_token is not None:
        token = settings.slack_app_token.get_secret_value()
        bot.connection = await stack.enter_async_context(open_socket(app, token, metrics))
    elif settings.slack_signing_secret is not None:
        endpoint = Endpoint(app, settings.slack_signing_secret.get_secret_value(), metrics).answer
    site = build_site(bot.problems, bot.warnings, metrics.page, endpoint)
    port = await stack.enter_async_context(serving(site, settings.host, settings.port))
    for loop in (bot.sweeper.keep_sweeping, bot.sweeper.keep_notifying):
        stack.push_async_callback(_cancel, asyncio.ensure_future(loop()))
    log.info("serving", mode="http" if endpoint else "socket", host=settings.host, port=port)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _new_id() -> str:
    """Return 13 random characters (65 bits) that are hard to confuse."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(13))
