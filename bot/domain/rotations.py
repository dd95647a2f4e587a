"""The use cases of a rotation that was requested: confirm, carry out, and cancel."""

import asyncio
from dataclasses import replace
from typing import NoReturn

from bot.domain.errors import (
    AlreadyDecided,
    BotError,
    ChangedMeanwhile,
    CommitUnconfirmed,
    DatabaseError,
    NoSuchRotation,
    Unguarded,
)
from bot.domain.events import Action, Event
from bot.domain.grants import Grant
from bot.domain.lease import Lease
from bot.domain.models import Actor, Databases, GroupInfo, Outcome, Rotation, RotationId, SlackContext
from bot.domain.policy import Policy, refuses_lockout
from bot.domain.ports import Interrupted, NewClaim, NewRotation, Superseded
from bot.domain.recording import Claimed, OutcomeRecorder
from bot.domain.requests import ConfirmationPrompt, RotationConfig, RotationPorts
from bot.domain.states import State

_BROKEN = Outcome(State.UNKNOWN, "The bot failed during the call: the rotation may have happened.")
_CHANGED = "This request, or your right to it, was just changed. Please try again."
_TRIES = 3


class Rotations:
    """The rotations of one organization."""

    def __init__(self, config: RotationConfig, ports: RotationPorts, recorder: OutcomeRecorder) -> None:
        self._config = config
        self._policies = ports.policies
        self._store = ports.store
        self._trail = ports.trail
        self._turso = ports.turso
        self._new_id = ports.new_id
        self._recorder = recorder

    async def confirm(
        self, actor: Actor, context: SlackContext, rotation_id: RotationId
    ) -> Claimed | ConfirmationPrompt:
        """Claim the rotation for this process; call `carry_out` with the result.

        If the world that its card described is gone, supersede it instead, and return what is to be confirmed anew.
        Raises `Refused`, `NoSuchRotation`, `AlreadyDecided`, `ChangedMeanwhile` or `DatabaseError`: then nothing is
        called.
        """
        for _ in range(_TRIES):
            rotation, policy = await self._admit(actor, context, rotation_id)
            grant = policy.grant_for(actor, rotation.group)
            if grant is not None or policy.at_terminal:
                claimed = await self._claim(actor, context, rotation, grant)
                if claimed is not None:
                    return claimed
            # The rotation was decided, or the grant or the request ended, since it was read: ask again.
        raise ChangedMeanwhile(_CHANGED)

    async def carry_out(self, claimed: Claimed) -> Rotation:
        """Call Turso once, record the outcome, and return the rotation.

        If the outcome cannot be recorded, the rotation reads `unknown` for now, and the recorder tries again later.
        """
        self._recorder.begin(claimed)
        try:
            outcome = await self._turso.rotate(claimed.rotation.target, claimed.lease)
        except BaseException as error:
            known = error.outcome if isinstance(error, Interrupted) else _BROKEN
            await asyncio.shield(self._recorder.record(claimed, known))
            raise
        return await asyncio.shield(self._recorder.record(claimed, outcome))

    async def cancel(self, actor: Actor, context: SlackContext, rotation_id: RotationId) -> Rotation:
        """Cancel a request. Raises the same errors as `confirm`."""
        for _ in range(_TRIES):
            rotation, _ = await self._admit(actor, context, rotation_id)
            event = self._event(Action.CANCELLED, actor, context, rotation)
            cancelled = await self._store.move(rotation_id, expected=State.REQUESTED, event=event)
            if cancelled is not None:
                return cancelled
        raise ChangedMeanwhile(_CHANGED)

    async def _admit(self, actor: Actor, context: SlackContext, rotation_id: RotationId) -> tuple[Rotation, Policy]:
        """Check that the rotation exists, that the actor may decide it, and that it is still undecided."""
        rotation = await self._look_up(actor, rotation_id)
        if rotation is None:
            why = NoSuchRotation.recorded_why
            await self._trail.append(self._event(Action.DENIED, actor, context, value=rotation_id[:64], why=why))
            raise NoSuchRotation
        policy = await self._policies.policy_for(actor)
        if refused := policy.refuses_press(actor, rotation):
            await self._refuse(self._event(Action.DENIED, actor, context, rotation, why=str(refused)), refused)
        if rotation.state is State.REQUESTED and rotation.expires_at <= policy.now:
            rotation = await self._recorder.end_overdue(rotation) or await self._store.get(rotation_id) or rotation
        if rotation.state is not State.REQUESTED:
            raise AlreadyDecided(rotation, (policy.now - (rotation.ended_at or policy.now)).total_seconds())
        return rotation, policy

    async def _look_up(self, actor: Actor, rotation_id: RotationId) -> Rotation | None:
        """Read the rotation; without the database, its requester hears what only this process knows of it."""
        try:
            return await self._store.get(rotation_id)
        except DatabaseError:
            known = self._recorder.known(rotation_id)
            if known is None or known.requester != actor:
                raise
            raise AlreadyDecided(known, saved=known.state is State.ROTATING) from None

    async def _claim(
        self, actor: Actor, context: SlackContext, rotation: Rotation, grant: Grant | None
    ) -> Claimed | ConfirmationPrompt | None:
        """Start the rotation for this process; return `None` if it can no longer be started."""
        info = await self._info_if_outdated(actor, context, rotation)
        claimed = Claimed(rotation, self._new_id(), Lease(self._config.call_seconds))
        right = {"terminal": True} if grant is None else {"grant": grant.id}
        claim = NewClaim(
            rotation.id,
            None if grant is None else grant.id,
            claimed.claim,
            claimed.lease.seconds,
            self._event(Action.STARTED, actor, context, rotation, **right),
            self._instead_of(rotation, context, info),
        )
        try:
            started = await self._store.claim(claim)
        except Unguarded as error:
            await self._refuse(self._event(Action.DENIED, actor, context, rotation, why=str(error)), error)
        except BaseException as error:
            if not isinstance(error, BotError) or isinstance(error, CommitUnconfirmed):
                # The claim may be recorded all the same. No call follows, so record that.
                self._recorder.watch(claimed)
            raise
        if isinstance(started, Superseded):
            info = info or await self._turso.group_info(rotation.group)
            return ConfirmationPrompt(started.new.rotation, info, started.new.world, started.old)
        return None if started is None else replace(claimed, rotation=started)

    async def _info_if_outdated(self, actor: Actor, context: SlackContext, rotation: Rotation) -> GroupInfo | None:
        """Look at the group anew, as for a command, if the request will be asked anew. Raises `Refused`."""
        if not await self._store.is_outdated(rotation.id):
            return None
        info = await self._turso.group_info(rotation.group)
        if refused := refuses_lockout(info, self._config.database_hosts, rotation.group):
            await self._refuse(self._event(Action.DENIED, actor, context, rotation, why=str(refused)), refused)
        return info

    def _instead_of(self, rotation: Rotation, context: SlackContext, info: GroupInfo | None) -> NewRotation:
        """Return the request that takes the place of one whose world is gone; it is the same person's."""
        rotation_id = RotationId(self._new_id())
        event = self._event(Action.REQUESTED, rotation.requester, context, rotation, reason=rotation.reason)
        event = replace(event, rotation_id=rotation_id, delivery=None)
        seconds, databases = self._config.confirm_seconds, Databases.of(info.databases) if info else rotation.databases
        return NewRotation(rotation_id, event, rotation.channel_id, rotation.reason, seconds, databases)

    async def _refuse(self, event: Event, why: BotError) -> NoReturn:
        await self._trail.append(event)
        raise why

    def _event(
        self, action: Action, actor: Actor, context: SlackContext, rotation: Rotation | None = None, **detail: object
    ) -> Event:
        event = Event.at(context, action, actor, self._config.organization, **detail)
        return event if rotation is None else replace(event, group=rotation.group, rotation_id=rotation.id)
