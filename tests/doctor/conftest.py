"""A healthy deployment, which each story makes ill in one way, and the real process that finds out."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import func, insert, select

from bot.domain.events import Action, Event
from bot.domain.grants import NewGrant, Role
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.organization import ApiToken
from bot.sandbox.workspace import Person
from bot.store.allowlist import SqlGrants
from bot.store.database import Database, open_database
from bot.store.tables import allowlist, audit_events
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal
from tests.databases import load_url
from tests.process import run

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/doctor.md").read_text()
SCHEMA = json.loads(DOCS.partition("```json\n")[2].partition("```")[0])

ALICE = Person("U0ALICE01", "alice")
BOB = Person("U0B0B0002", "bob")
TEAM = "T012AB3CD"
KEY = "a-key-of-the-audit-trail"
NEEDED = frozenset({"read", "group:rotate-creds"})
PAYMENTS, DEFAULT, WHOLE = "payments-token-4711", "default-token-4712", "whole-token-4713"
READS = {"auth.test", "apps.connections.open", "bots.info", "conversations.info", "users.info"}


@dataclass
class Report:
    """What the doctor said."""

    code: int
    findings: list[dict[str, Any]]
    error: str = ""
    """What stood on standard error."""

    def states(self, *states: str) -> list[str]:
        """Name the checks whose findings are in one of these states."""
        return [finding["check"] for finding in self.findings if finding["state"] in states]

    @property
    def complaints(self) -> list[str]:
        """Name the checks that warn or fail, but for one: the tests' server saves time by writing without fsync."""
        return [check for check in self.states("warning", "failure") if check != "database.durability"]

    def __getitem__(self, check: str) -> dict[str, Any]:
        """Return the one finding of a check."""
        (found,) = [finding for finding in self.findings if finding["check"] == check]
        return found

    def of(self, check: str) -> list[tuple[str | None, str]]:
        """Return the subjects and states of a check with several findings."""
        return [(finding["subject"], finding["state"]) for finding in self.findings if finding["check"] == check]


@dataclass
class Doctor:
    """The real command over the settings of a story."""

    settings: dict[str, str]
    folder: Path
    slack: LocalSlack
    turso: LocalTurso
    words: list[str] = field(default_factory=list)
    """Everything it ever printed."""

    async def __call__(self, *arguments: str, **changes: str) -> Report:
        """Examine, and return the report; an empty change unsets a setting."""
        settings = {name: value for name, value in {**self.settings, **changes}.items() if value}
        code, out, err = await run(settings, self.folder, "doctor", "--format", "json", *arguments)
        self.words += [out, err]
        assert "Traceback" not in out + err
        for secret in secrets(settings):
            assert secret not in out + err
        report = json.loads(out) if code < 2 else {"findings": []}
        if code < 2:
            jsonschema.Draft202012Validator(SCHEMA).validate(report)
        assert all(request.method == "GET" for request in self.turso.requests)
        assert {call.method for call in self.slack.calls} <= READS
        return Report(code, report["findings"], err)


def secrets(settings: Mapping[str, str]) -> list[str]:
    """List the values that must never be shown."""
    named = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "TURSO_API_TOKEN", "AUDIT_KEY")
    found = [settings[name] for name in named if name in settings]
    found += re.findall(r'": "([^"]+)"', settings.get("TURSO_GROUP_TOKENS", ""))
    return found + re.findall(r"://\w+:([^@]+)@", settings["DATABASE_URL"])


@dataclass
class Book:
    """The database, as a story writes in it."""

    database: Database
    seal: Seal

    async def grants(self, person: Person, pattern: str) -> None:
        """Allow somebody something, as an operator does."""
        event = Event(Action.GRANTED, Actor.on_terminal("root"), Organization("acme"))
        await SqlGrants(self.database, self.seal).add(NewGrant(actor(person), pattern, None, ""), event)

    async def granted(
        self, person: Person, pattern: str, at: datetime, *, until: datetime | None = None, role: Role = Role.ROTATE
    ) -> None:
        """Leave a grant from some time ago."""
        line = {"team_id": person.team_id, "user_id": person.user_id, "pattern": pattern, "until": until, "note": ""}
        by = {"granted_at": at, "granted_by_team": "cli", "granted_by_user": "root", "role": str(role)}
        await self.database.write(lambda connection: connection.execute(insert(allowlist), {**line, **by}))

    async def revokes(self, person: Person) -> None:
        """Take everything from somebody."""
        event = Event(Action.REVOKED, Actor.on_terminal("root"), Organization("acme"))
        await SqlGrants(self.database, self.seal).revoke(actor(person), None, event)

    async def asks(self, person: Person) -> None:
        """Record that somebody asked for a rotation."""
        await SqlTrail(self.database, self.seal).append(Event(Action.REQUESTED, actor(person), Organization("acme")))

    async def rows(self) -> int:
        """Count the rows of the audit trail."""
        counted = select(func.count()).select_from(audit_events)
        return int(await self.database.read(lambda connection: connection.execute(counted).scalar_one()))


def actor(person: Person) -> Actor:
    """Name a person as the bot does."""
    return Actor(TeamId(person.team_id), UserId(person.user_id))


def long_ago() -> datetime:
    """Return a moment in 2025."""
    return datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=(ALICE, BOB)) as workspace:
        workspace.workspace.scopes = ["commands", "chat:write", "users:read", "channels:read"]
        yield workspace


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    tokens = {
        PAYMENTS: ApiToken(NEEDED, group="payments"),
        DEFAULT: ApiToken(NEEDED, group="default"),
        WHOLE: ApiToken(),
    }
    async with LocalTurso(tokens=tokens) as organization:
        yield organization


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Use a file; stories about the database ask for both kinds."""
    return sqlite_url


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    """Let Alice rotate one group."""
    seal = Seal(KEY.encode())
    database = open_database(load_url(database_url))
    book = Book(database, seal)
    await book.grants(ALICE, "payments")
    yield book
    await database.close()


@pytest.fixture
def doctor(slack: LocalSlack, turso: LocalTurso, database_url: str, book: Book, tmp_path: Path) -> Doctor:
    settings = {
        "SLACK_BOT_TOKEN": "xoxb-local-bot",
        "SLACK_APP_TOKEN": "xapp-local-app",
        "SLACK_API_URL": slack.api_url,
        "TURSO_ORGANIZATION": "acme",
        "TURSO_GROUP_TOKENS": json.dumps({"payments": PAYMENTS}),
        "TURSO_API_URL": turso.url,
        "DATABASE_URL": database_url,
        "AUDIT_CHANNEL": "C0AUDIT",
        "AUDIT_KEY": KEY,
        "LOG_FORMAT": "json",
    }
    return Doctor(settings, tmp_path, slack, turso)
