"""Note what happens while the torture lasts, and freeze it as facts."""

import asyncio
import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from bot.sandbox.changes import Subscription
from bot.sandbox.deliveries import Delivery
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.messages import PostedMessage, interactive_elements
from tests.torture.facts import ActiveFault, Change, Facts, GrantChange, MessageVersion, Rotation, Row, UserAction
from tests.torture.recording_turso import RecordingTurso
from tests.torture.tables import Tables

_CARD = "rotation:"
_LOOK_SECONDS = 0.5
_CAPABILITY = re.compile(r"/response/\w+")
_ROTATION = re.compile(r"Rotation `([^`]+)`")


@dataclass
class Ledger:
    """What one run has seen so far."""

    user_actions: list[UserAction] = field(default_factory=list)
    messages: list[MessageVersion] = field(default_factory=list)
    grant_changes: list[GrantChange] = field(default_factory=list)
    faults: list[ActiveFault] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    cards: dict[str, list[PostedMessage]] = field(default_factory=dict)
    """By person: the messages that had buttons for them."""
    _rows: dict[int, Row] = field(default_factory=dict)
    _rotations: dict[str, Rotation] = field(default_factory=dict)

    def note_user_action(
        self, person: str, what: str, delivery: Delivery, at: float, *, replica: int | None, row: bool
    ) -> None:
        """Note a delivery, and that its capabilities are secrets."""
        body = delivery.body
        answer = str(body.get("text", "")) if isinstance(body, dict) else str(body or "")
        acknowledged = delivery.status == 200 and delivery.error is None
        if not acknowledged:
            answer = f"{delivery.error or delivery.status}"
        hashed = hashlib.sha256(str(delivery.trigger_id).encode()).hexdigest()
        self.user_actions.append(
            UserAction(at, delivery.seconds, person, what, hashed, acknowledged, answer, replica, row)
        )
        number = len(self.user_actions)
        self.secrets[f"the trigger id of user action {number}"] = str(delivery.trigger_id)
        if found := _CAPABILITY.search(delivery.response_url or ""):
            self.secrets[f"the response_url of user action {number}"] = found[0]

    @contextmanager
    def fault(self, kind: str, what: str, replica: int | None = None) -> Iterator[None]:
        """Note a fault for as long as the context is open."""
        number = len(self.faults)
        self.faults.append(ActiveFault(kind, what, time.time(), replica=replica))
        try:
            yield
        finally:
            self.faults[number] = replace(self.faults[number], ended=time.time())

    async def keep_reading(self, slack: LocalSlack, changes: Subscription) -> None:
        """Note every version of every message of the bot, as it appears."""
        async for change in changes:
            if isinstance(change.subject, PostedMessage) and change.subject.author == "bot":
                self._read(slack, change.subject)

    async def keep_looking(self, tables: Tables) -> None:
        """Compare the tables again and again with what they held before."""
        while True:
            with suppress(OSError):
                await self.look(tables)
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self, tables: Tables, *, all_rows: bool = False) -> None:
        """Read the newest rows, or all of them, and the rotations. Raises `OSError`."""
        known = 0 if all_rows else max(self._rows, default=0) - 20
        rows = {row.seq: row for row in await tables.rows(known)}
        for seq, row in [(seq, row) for seq, row in self._rows.items() if seq > known]:
            if rows.get(seq) != row:
                self._changed("row", seq, row, rows.get(seq))
        self._rows |= rows
        rotations = {rotation.id: rotation for rotation in await tables.rotations()}
        for rotation_id, rotation in self._rotations.items():
            now = rotations.get(rotation_id)
            if now is None or replace(now, state=rotation.state) != rotation:
                self._changed("rotation", rotation_id, rotation, now)
        self._rotations = rotations

    def _changed(self, table: str, key: object, was: object, now: object) -> None:
        change = Change(table, str(key), str(was), "gone" if now is None else str(now))
        if change not in self.changes:
            self.changes.append(change)

    async def freeze(self, tables: Tables, turso: RecordingTurso, quiet_since: float, key: bytes | None) -> Facts:
        """Read the tables one last time, and return everything."""
        await self.look(tables, all_rows=True)
        return Facts(
            database=tables.kind,
            rows=tuple(self._rows[seq] for seq in sorted(self._rows)),
            rotations=tuple(self._rotations.values()),
            grants=await tables.grants(),
            undelivered=tuple((await tables.undelivered()).values()),
            calls=tuple(turso.calls),
            user_actions=tuple(self.user_actions),
            messages=tuple(self.messages),
            grant_changes=tuple(self.grant_changes),
            faults=tuple(self.faults),
            changes=tuple(self.changes),
            quiet_since=quiet_since,
            read_at=time.time(),
            logs=tuple(self.logs),
            unexpected=tuple(self.unexpected),
            secrets=dict(self.secrets),
            key=key,
        )

    def _read(self, slack: LocalSlack, message: PostedMessage) -> None:
        to = message.ephemeral_to or slack.workspace.direct_channels.get(message.channel)
        buttons = tuple(_values(message))
        rotations = tuple(_ROTATION.findall(message.plain))
        self.messages.append(
            MessageVersion(message.position, time.time(), message.channel, to, message.plain, buttons, rotations)
        )
        if buttons and to is not None and message not in self.cards.setdefault(to, []):
            self.cards[to].append(message)


def _values(message: PostedMessage) -> Iterator[str]:
    """Yield the rotation that each button of a card is for; those of other messages decide nothing."""
    pressed = (each for each in interactive_elements(message.blocks) if str(each.get("action_id")).startswith(_CARD))
    yield from dict.fromkeys(str(each.get("value")) for each in pressed)
