"""The use cases of a rotation: request, confirm, carry out, and cancel."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from bot.domain.access import PolicySource
from bot.domain.errors import (
    AlreadyDecided,
    BotError,
    ChangedMeanwhile,
    Interrupted,
    NoSuchGroup,
    NoSuchRotation,
    Refusal,
    Refused,
)
from bot.domain.events import Action, Event
from bot.domain.grants import Grant
from bot.domain.lease import Lease
from bot.domain.models import (
    Actor,
    Databases,
    GroupInfo,
    GroupName,
    GroupWorld,
    Organization,
    Outcome,
    Request,
    Rotation,
    RotationId,
    SlackContext,
)
from bot.domain.naming import GroupFinder, Meaning
from bot.domain.policy import Policy, refuses_lockout
from bot.domain.ports import AuditTrail, NewClaim, NewRotation, RotationStore, Superseded, Turso
from bot.domain.recording import Claimed, OutcomeRecorder
from bot.domain.states import State

_BROKEN = Outcome(State.UNKNOWN, "The bot failed during the call: the rotation may have happened.")
_CHANGED = "This request, or your right to it, was just changed. Nothing was rotated; please try again."
_TRIES = 3
_TYPED = 80
"""How many characters are recorded of what names no group."""


@dataclass(frozen=True, slots=True)
class RotationConfig:
    """Whose rotations these are, and how many seconds a confirmation and a call may take."""

    organization: Organization
    confirm_seconds: int
    call_seconds: float
    database_host: str | None
    """The host of the bot's own database; `None` for a file."""


@dataclass(frozen=True, slots=True)
class ConfirmationPrompt:
    """What a person is asked to confirm."""

    rotation: Rotation
    info: GroupInfo
    world: GroupWorld
    instead_of: Rotation | None = None
    """The confirmed request that this one takes the place of, because its world is gone."""
    also: GroupName | None = None
    """Another group, with whose name the reason begins: perhaps both were meant."""


class Rotations:
    """The rotations of one organization."""

    def __init__(  # noqa: PLR0913 - one argument for each port
        self,
        config: RotationConfig,
        policies: PolicySource,
        *,
        store: RotationStore,
        trail: AuditTrail,
        turso: Turso,
        recorder: OutcomeRecorder,
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._policies = policies
        self._store = store
        self._trail = trail
        self._turso = turso
        self._finder = GroupFinder(turso)
        self._recorder = recorder
        self._new_id = new_id

    async def rotatable(self, actor: Actor) -> tuple[GroupName, ...] | None:
        """List the groups that the actor may rotate, or return `None` if Turso cannot be asked."""
        policy = await self._policies.policy_for(actor)
        if actor.team_id != policy.team_id or not any(grant.in_force(policy.now) for grant in policy.grants):
            return ()
        groups = await self._turso.groups()
        if groups is None:
            return None
        return tuple(group for group in groups if policy.refuses_request(actor, group) is None)

    async def request(self, actor: Actor, context: SlackContext, request: Request) -> ConfirmationPrompt:
        """Open a request that waits for its confirmation.

        Raises `DuplicateDelivery`, `DatabaseError`, or one of these, which is recorded first: `Refused`, `NotAGroup`,
        `NoSuchGroup`.
        """
        policy = await self._policies.policy_for(actor)
        meaning = await self._finder.find(policy, actor, request)
        group = meaning.group
        event = self._event(Action.REQUESTED, actor, context, group=group, reason=request.reason)
        if meaning.problem is not None:
            await self._reject(event, request, meaning.problem)
        refused = policy.refuses_request(actor, group)
        if refused is None and not self._turso.has_token(group):
            refused = Refused(f"The bot has no Turso API token for {group}.", Refusal.NO_TOKEN)
        if refused is not None:
            await self._refuse_request(event, request, meaning, refused)
        info = meaning.info or await self._turso.group_info(group)
        if info.exists is False:
            await self._reject(event, request, NoSuchGroup(group, meaning.similar))
        if lockout := refuses_lockout(info, self._config.database_host, group):
            await self._refuse(event, lockout)
        rotation_id = RotationId(self._new_id())
        event = replace(event, rotation_id=rotation_id)
        seconds, databases = self._config.confirm_seconds, Databases.of(info.databases)
        new = NewRotation(rotation_id, event, context.channel_id, request.reason, seconds, databases)
        opened = await self._store.open(new)
        return ConfirmationPrompt(opened.rotation, info, opened.world, also=meaning.also)

    async def reject(self, actor: Actor, context: SlackContext, typed: str, why: str) -> None:
        """Record a command that names no possible group, with the first characters of what was typed."""
        await self._trail.append(self._event(Action.REJECTED, actor, context, typed=typed[:_TYPED], why=why))

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
            event = self._event(Action.CANCELLED, actor, context, rotation=rotation)
            cancelled = await self._store.move(rotation_id, expected=State.REQUESTED, event=event)
            if cancelled is not None:
                return cancelled
        raise ChangedMeanwhile(_CHANGED)

    async def _admit(self, actor: Actor, context: SlackContext, rotation_id: RotationId) -> tuple[Rotation, Policy]:
        """Check that the rotation exists, that the actor may decide it, and that it is still undecided."""
        rotation = await self._store.get(rotation_id)
        if rotation is None:
            why = NoSuchRotation.recorded_why
            await self._trail.append(self._event(Action.DENIED, actor, context, value=rotation_id[:64], why=why))
            raise NoSuchRotation
        policy = await self._policies.policy_for(actor)
        if refused := policy.refuses_press(actor, rotation):
            await self._refuse(self._event(Action.DENIED, actor, context, rotation=rotation), refused)
        if rotation.state is State.REQUESTED and rotation.expires_at <= policy.now:
            rotation = await self._recorder.end_overdue(rotation) or await self._store.get(rotation_id) or rotation
        if rotation.state is not State.REQUESTED:
            raise AlreadyDecided(rotation)
        return rotation, policy

    async def _claim(
        self, actor: Actor, context: SlackContext, rotation: Rotation, grant: Grant | None
    ) -> Claimed | ConfirmationPrompt | None:
        """Start the rotation for this process; return `None` if it can no longer be started."""
        claimed = Claimed(rotation, self._new_id(), Lease(self._config.call_seconds))
        right = {"terminal": True} if grant is None else {"grant": grant.id}
        claim = NewClaim(
            rotation.id,
            None if grant is None else grant.id,
            claimed.claim,
            claimed.lease.seconds,
            self._event(Action.STARTED, actor, context, rotation=rotation, **right),
            self._instead_of(rotation, context),
        )
        try:
            started = await self._store.claim(claim)
        except BaseException:
            # The commit may have succeeded although its answer was lost. No call follows, so record that.
            self._recorder.watch(claimed)
            raise
        if isinstance(started, Superseded):
            info = await self._turso.group_info(rotation.group)
            return ConfirmationPrompt(started.new.rotation, info, started.new.world, started.old)
        return None if started is None else replace(claimed, rotation=started)

    def _instead_of(self, rotation: Rotation, context: SlackContext) -> NewRotation:
        """Return the request that takes the place of one whose world is gone; it is the same person's."""
        rotation_id = RotationId(self._new_id())
        event = self._event(Action.REQUESTED, rotation.requester, context, rotation=rotation, reason=rotation.reason)
        event = replace(event, rotation_id=rotation_id, delivery=None)
        seconds = self._config.confirm_seconds
        return NewRotation(rotation_id, event, rotation.channel_id, rotation.reason, seconds, rotation.databases)

    async def _refuse(self, event: Event, refused: Refused) -> NoReturn:
        await self._trail.append(_with(event, Action.DENIED, why=str(refused)))
        raise refused

    async def _refuse_request(self, event: Event, request: Request, meaning: Meaning, refused: Refused) -> NoReturn:
        """Refuse, without advice about a group that does not exist."""
        if meaning.listed is False:
            event = _unnamed(event, request)
        if refused.refusal is not Refusal.OTHER_WORKSPACE:
            refused = Refused(str(refused), refused.refusal, event.group, meaning.similar)
        await self._refuse(event, refused)

    async def _reject(self, event: Event, request: Request, problem: BotError) -> NoReturn:
        await self._trail.append(_with(_unnamed(event, request), Action.REJECTED, why=str(problem)))
        raise problem

    def _event(
        self,
        action: Action,
        actor: Actor,
        context: SlackContext,
        *,
        group: GroupName | None = None,
        rotation: Rotation | None = None,
        **detail: object,
    ) -> Event:
        return Event(
            action=action,
            actor=actor,
            organization=self._config.organization,
            group=rotation.group if rotation else group,
            rotation_id=rotation.id if rotation else None,
            detail={"channel": context.channel_id, **detail},
            delivery=context.delivery,
        )


def _with(event: Event, action: Action, **detail: object) -> Event:
    return replace(event, action=action, detail={**event.detail, **detail})


def _unnamed(event: Event, request: Request) -> Event:
    """Return an event with what was typed instead of a group: a typo is no group to list or to count."""
    typed = (request.typed or request.group)[:_TYPED]
    return replace(event, group=None, detail={**event.detail, "typed": typed})
