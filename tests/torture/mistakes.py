"""Start the bot with planted mistakes, to show that torture finds them: `python -m tests.torture.mistakes NAME…`.

This is the one place where anything of the bot is patched, in a process of its own.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import bot.slack.payloads
import bot.store.rotations
import bot.turso.client
from bot.cli import app
from bot.domain.lease import Lease
from bot.domain.models import Actor, Outcome, Rotation, RotationId, SlackContext, Target
from bot.domain.policy import Policy
from bot.domain.rotations import Rotations
from bot.domain.states import State
from bot.slack.notifier import Notifier
from bot.slack.replies import Reply
from bot.slack.rotate.listeners import RotationListeners
from bot.store.trail import SqlTrail
from bot.trail.chain import Seal
from bot.turso.client import TursoClient

_confirm, _rotate, _command = Rotations.confirm, TursoClient.rotate, RotationListeners.on_command


def _calls_first() -> None:
    async def confirm(self: Rotations, actor: Actor, context: SlackContext, rotation_id: RotationId) -> object:
        rotation = await self._store.get(rotation_id)
        if rotation is not None and rotation.state is State.REQUESTED:
            await self._turso.rotate(rotation.target, Lease(1.0))
        return await _confirm(self, actor, context, rotation_id)

    _plant(Rotations, "confirm", confirm)


def _calls_twice() -> None:
    async def rotate(self: TursoClient, target: Target, lease: Lease) -> Outcome:
        await _rotate(self, target, lease)
        return await _rotate(self, target, lease)

    _plant(TursoClient, "rotate", rotate)


def _ignores_the_world() -> None:
    _plant(bot.store.rotations, "world_is_gone", lambda *_: False)


def _believes_every_answer() -> None:
    _plant(bot.turso.client, "classify", lambda *_: Outcome(State.SUCCEEDED, "Done."))


def _lets_anybody_press() -> None:
    _plant(Policy, "refuses_press", lambda *_: None)


def _records_no_refusal() -> None:
    async def append(_: SqlTrail, __: object) -> None:
        pass

    _plant(SqlTrail, "append", append)


def _seals_carelessly() -> None:
    seal = Seal.hash
    _plant(Seal, "hash", lambda self, row: seal(self, row._replace(detail="{}")))


def _keeps_tokens() -> None:
    _plant(bot.slack.payloads, "mask", lambda text: text)


def _acknowledges_late() -> None:
    async def on_command(self: RotationListeners, ack: Any, body: Any) -> None:
        await asyncio.sleep(3.2)
        await _command(self, ack, body)

    _plant(RotationListeners, "on_command", on_command)


def _leaves_cards() -> None:
    _plant(Reply, "replace", Reply.send)


def _announces_nothing() -> None:
    async def announce(_: Notifier, __: object, ___: Rotation, ____: Reply) -> None:
        pass

    _plant(Notifier, "_announce", announce)


MISTAKES: Mapping[str, tuple[int, Callable[[], None]]] = {
    "calls-first": (1, _calls_first),
    "calls-twice": (2, _calls_twice),
    "ignores-the-world": (2, _ignores_the_world),
    "believes-every-answer": (3, _believes_every_answer),
    "lets-anybody-press": (4, _lets_anybody_press),
    "records-no-refusal": (5, _records_no_refusal),
    "seals-carelessly": (6, _seals_carelessly),
    "keeps-tokens": (7, _keeps_tokens),
    "acknowledges-late": (8, _acknowledges_late),
    "leaves-cards": (9, _leaves_cards),
    "announces-nothing": (10, _announces_nothing),
}
"""By name: the law that it breaks, and what plants it."""


def _plant(owner: object, name: str, mistake: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, mistake)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        MISTAKES[name][1]()
    app(["serve"])
