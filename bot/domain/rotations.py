"""The use cases around a rotation: request, confirm, carry out, and cancel."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bot.domain.errors import (
    AlreadyDecided,
    DatabaseUnavailable,
    GroupBusy,
    Interrupted,
    NoSuchGroup,
    NoSuchRotation,
    Refusal,
    Refused,
)
from bot.domain.models import (
    Action,
    Actor,
    Event,
    Grant,
    GroupName,
    Outcome,
    Request,
    Rotation,
    RotationId,
    SlackContext,
    State,
)
from bot.domain.policy import Policy, refuses_lockout
from bot.domain.ports import GrantStore, NewRotation, RotationStore, Trail, Turso
from bot.domain.recording import NEVER_STARTED, OutcomeRecorder
from bot.domain.steps import Claimed, ConfirmationPrompt, RotationConfig

LEASE_MARGIN_SECONDS = 5.0
"""How much longer than the call's deadline a claim holds: time to write the outcome."""

_BROKEN = Outcome(State.UNKNOWN, "The bot failed during the call: the rotation may have happened.")
_RESTLESS = "This request changes faster than it can be decided. Look again, and try again."
_TRIES = 3


class Rotations:
    """One organization's rotations, for one Slack team."""

    def __init__(  # noqa: PLR0913 - one argument for each port
        self,
        rules: RotationConfig,
        *,
        grants: GrantStore,
        store: RotationStore,
        trail: Trail,
        turso: Turso,
        new_id: Callable[[], str],
    ) -> None:
        self._rules = rules
        self._grants = grants
        self._store = store
        self._trail = trail
        self._turso = turso
        self._new_id = new_id
        self._settlement = OutcomeRecorder(store)
        self.tidy = self._settlement.tidy
        self.all_recorded = self._settlement.all_recorded

    async def rotatable(self, actor: Actor) -> tuple[GroupName, ...] | None:
        """List the groups the actor may rotate, or return `None` where Turso cannot be asked."""
        policy = await self._policy(actor)
        if actor.team_id != policy.team_id or not any(grant.in_force(policy.now) for grant in policy.grants):
            return ()
        groups = await self._turso.groups()
        if groups is None:
            return None
        return tuple(group for group in groups if policy.refuses_request(actor, group) is None)

    async def request(self, actor: Actor, place: SlackContext, request: Request) -> ConfirmationPrompt:
        """Open a request that waits for its confirmation.

        Raises `Refused`, `NoSuchGroup`, `DuplicateDelivery` or `DatabaseError`; a refusal is recorded first.
        """
        group = request.group
        event = self._event(Action.REQUESTED, actor, place, group=group, reason=request.reason)
        policy = await self._policy(actor)
        if refused := policy.refuses_request(actor, group):
            await self._refuse(event, refused)
        if not self._turso.has_token(group):
            words = f"The bot holds no Turso API token for {group}."
            await self._refuse(event, Refused(words, Refusal.NO_TOKEN, group))
        look = await self._turso.look(group)
        if look.exists is False:
            await self._trail.append(_with(event, Action.REJECTED, why="Turso knows no such group."))
            theirs = (each for each in look.similar if policy.refuses_request(actor, GroupName(each)) is None)
            raise NoSuchGroup(group, tuple(theirs))
        if lockout := refuses_lockout(look, self._rules.database_host, group):
            await self._refuse(event, lockout)
        rotation_id = RotationId(self._new_id())
        draft = NewRotation(
            id=rotation_id,
            event=replace(event, rotation_id=rotation_id),
            channel_id=place.channel_id,
            reason=request.reason,
            seconds=self._rules.confirm_seconds,
        )
        rotation, last = await self._store.open(draft)
        return ConfirmationPrompt(rotation, look, last)

    async def reject(self, actor: Actor, place: SlackContext, typed: str, why: str) -> None:
        """Record a command that names no possible group; `typed` is kept, cut."""
        await self._trail.append(self._event(Action.REJECTED, actor, place, typed=typed[:80], why=why))

    async def confirm(self, actor: Actor, place: SlackContext, rotation_id: RotationId) -> Claimed:
        """Claim the rotation for this process; `carry_out` must follow.

        Raises `Refused`, `NoSuchRotation`, `AlreadyDecided`, `GroupBusy` or `DatabaseError`. Then nothing is called.
        """
        for _ in range(_TRIES):
            rotation, policy = await self._admit(actor, place, rotation_id)
            grant = policy.grant_for(actor, rotation.group)
            if grant is not None and (claimed := await self._claim(actor, place, rotation, grant)) is not None:
                return claimed
            # Somebody was faster, or the grant or the time ended on the way: the same questions have another answer.
        raise DatabaseUnavailable(_RESTLESS)

    async def carry_out(self, claimed: Claimed) -> Rotation:
        """Call Turso, once, and record what became of it; returns the rotation as it then stands.

        Where the record cannot be written it reads `unknown` for now, and `tidy` writes it later.
        """
        try:
            outcome = await self._turso.rotate(claimed.rotation.group)
        except BaseException as error:
            known = error.outcome if isinstance(error, Interrupted) else _BROKEN
            await asyncio.shield(self._settlement.record(claimed, known))
            raise
        return await asyncio.shield(self._settlement.record(claimed, outcome))

    async def cancel(self, actor: Actor, place: SlackContext, rotation_id: RotationId) -> Rotation:
        """Withdraw a request. Raises as `confirm` does, but for `GroupBusy`."""
        for _ in range(_TRIES):
            rotation, _ = await self._admit(actor, place, rotation_id)
            event = self._event(Action.CANCELLED, actor, place, rotation=rotation)
            cancelled = await self._store.move(rotation_id, expected=State.REQUESTED, event=event)
            if cancelled is not None:
                return cancelled
        raise DatabaseUnavailable(_RESTLESS)

    async def _policy(self, actor: Actor) -> Policy:
        held = await self._grants.held_by(actor)
        return Policy(self._rules.team_id, held.grants, held.now)

    async def _admit(self, actor: Actor, place: SlackContext, rotation_id: RotationId) -> tuple[Rotation, Policy]:
        """Let the actor decide the rotation: it exists, the rules allow it, and it still waits."""
        rotation = await self._store.get(rotation_id)
        if rotation is None:
            why = "No rotation with this id is known here."
            await self._trail.append(self._event(Action.DENIED, actor, place, value=rotation_id[:64], why=why))
            raise NoSuchRotation
        policy = await self._policy(actor)
        if refused := policy.refuses_press(actor, rotation):
            await self._refuse(self._event(Action.DENIED, actor, place, rotation=rotation), refused)
        if rotation.state is State.REQUESTED and rotation.expires_at <= policy.now:
            rotation = await self._settlement.end(rotation) or await self._store.get(rotation_id) or rotation
        if rotation.state is not State.REQUESTED:
            raise AlreadyDecided(rotation)
        return rotation, policy

    async def _claim(self, actor: Actor, place: SlackContext, rotation: Rotation, grant: Grant) -> Claimed | None:
        """Start the rotation for this process, unless somebody was faster or it can no longer be started."""
        event = self._event(Action.STARTED, actor, place, rotation=rotation, grant=grant.id)
        claimed = Claimed(rotation, self._new_id())
        lease = self._rules.call_seconds + LEASE_MARGIN_SECONDS
        try:
            started = await self._store.claim(
                rotation.id, grant=grant.id, claim=claimed.claim, lease=lease, event=event
            )
        except GroupBusy as busy:
            await self._trail.append(_with(event, Action.DENIED, why=str(busy), busy_with=busy.rotation.id))
            raise
        except DatabaseUnavailable:
            # The commit may have gone through although its answer was lost. No call follows, so say so.
            self._settlement.keep(claimed, NEVER_STARTED)
            raise
        return None if started is None else replace(claimed, rotation=started)

    async def _refuse(self, event: Event, refused: Refused) -> None:
        await self._trail.append(_with(event, Action.DENIED, why=str(refused)))
        raise refused

    def _event(
        self,
        action: Action,
        actor: Actor,
        place: SlackContext,
        *,
        group: GroupName | None = None,
        rotation: Rotation | None = None,
        **detail: object,
    ) -> Event:
        return Event(
            action=action,
            actor=actor,
            organization=self._rules.organization,
            group=rotation.group if rotation else group,
            rotation_id=rotation.id if rotation else None,
            detail={"channel": place.channel_id, **detail},
            delivery=place.delivery,
        )


def _with(event: Event, action: Action, **detail: object) -> Event:
    return replace(event, action=action, detail={**event.detail, **detail})
