"""The use cases around a rotation: request, confirm, carry out, cancel, and tidying up what was left behind."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.errors import (
    AlreadyDecided,
    DatabaseUnavailable,
    GroupBusy,
    NoSuchGroup,
    NotKnown,
    Refusal,
    Refused,
)
from bot.models import (
    SYSTEM,
    Action,
    Actor,
    Event,
    GroupName,
    Outcome,
    Place,
    Request,
    Rotation,
    RotationId,
    State,
)
from bot.policy import Policy, refuses_lockout
from bot.ports import Draft, GrantStore, RotationStore, Trail, Turso
from bot.steps import Claimed, Confirmation, Rules

LEASE_MARGIN_SECONDS = 5.0
"""How much longer than the call's deadline a claim holds: time to write the outcome."""

_STOPPED = Outcome(State.UNKNOWN, "The bot was stopped during the call: the rotation may have happened.")
_LEFT_BEHIND = Outcome(State.UNKNOWN, "The bot was interrupted during the call: the rotation may have happened.")
_NEVER_STARTED = Outcome(State.FAILED, "The database did not confirm the start. Nothing was sent to Turso.")
_UNRECORDED = "Turso has answered, but the database cannot record it yet. The answer is kept and will be reported."


class Rotations:
    """One organization's rotations, for one Slack team."""

    def __init__(  # noqa: PLR0913 - one argument for each port
        self,
        rules: Rules,
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
        self._unrecorded: dict[str, tuple[Claimed, Outcome]] = {}  # by claim

    async def rotatable(self, actor: Actor) -> tuple[GroupName, ...] | None:
        """List the groups the actor may rotate, or return `None` where Turso cannot be asked."""
        policy = await self._policy(actor)
        if actor.team_id != policy.team_id or not any(grant.in_force(policy.now) for grant in policy.grants):
            return ()
        groups = await self._turso.groups()
        if groups is None:
            return None
        return tuple(group for group in groups if policy.refuses_request(actor, group) is None)

    async def request(self, actor: Actor, place: Place, request: Request) -> Confirmation:
        """Open a request that waits for its confirmation.

        Raises `Refused`, `NoSuchGroup`, `Duplicate` or `DatabaseError`; a refusal is recorded first.
        """
        group = request.group
        event = self._event(Action.REQUESTED, actor, place, group=group, reason=request.reason)
        if refused := (await self._policy(actor)).refuses_request(actor, group):
            await self._refuse(event, refused)
        if not self._turso.has_token(group):
            await self._refuse(event, Refused(f"The bot holds no Turso API token for {group}.", Refusal.NO_TOKEN))
        look = await self._turso.look(group)
        if look.exists is False:
            await self._trail.append(_with(event, Action.REJECTED, why="Turso knows no such group."))
            raise NoSuchGroup(group, look.similar)
        if lockout := refuses_lockout(look, self._rules.database_host, group):
            await self._refuse(event, lockout)
        rotation_id = RotationId(self._new_id())
        draft = Draft(
            id=rotation_id,
            event=replace(event, rotation_id=rotation_id),
            channel_id=place.channel_id,
            reason=request.reason,
            seconds=self._rules.confirm_seconds,
        )
        rotation, last = await self._store.open(draft)
        return Confirmation(rotation, look, last)

    async def reject(self, actor: Actor, place: Place, typed: str, why: str) -> None:
        """Record a command that names no possible group; `typed` is kept, cut."""
        await self._trail.append(self._event(Action.REJECTED, actor, place, typed=typed[:80], why=why))

    async def confirm(self, actor: Actor, place: Place, rotation_id: RotationId) -> Claimed:
        """Claim the rotation for this process; `carry_out` must follow.

        Raises `Refused`, `NotKnown`, `AlreadyDecided`, `GroupBusy` or `DatabaseError`. Then nothing is called.
        """
        rotation, policy = await self._admit(actor, place, rotation_id)
        grant = policy.grant_for(actor, rotation.group)
        if grant is not None:
            event = self._event(Action.STARTED, actor, place, rotation=rotation, grant=grant.id)
            claimed = Claimed(rotation, self._new_id())
            lease = self._rules.call_seconds + LEASE_MARGIN_SECONDS
            try:
                started = await self._store.claim(
                    rotation_id, grant=grant.id, claim=claimed.claim, lease=lease, event=event
                )
            except GroupBusy as busy:
                await self._trail.append(_with(event, Action.DENIED, why=str(busy), busy_with=busy.rotation.id))
                raise
            except DatabaseUnavailable:
                # The commit may have gone through although its answer was lost. No call follows, so say so.
                self._unrecorded[claimed.claim] = (claimed, _NEVER_STARTED)
                raise
            if started is not None:
                return replace(claimed, rotation=started)
        # Somebody was faster, or the grant or the time ended on the way: the same questions now have an answer.
        rotation, _ = await self._admit(actor, place, rotation_id)
        raise AlreadyDecided(rotation)

    async def carry_out(self, claimed: Claimed) -> Rotation:
        """Call Turso, once, and record what became of it; returns the rotation as it then stands.

        Where the record cannot be written it reads `unknown` for now, and `tidy` writes it later.
        """
        try:
            outcome = await self._turso.rotate(claimed.rotation.group)
        except BaseException:
            await asyncio.shield(self._record(claimed, _STOPPED))
            raise
        return await asyncio.shield(self._record(claimed, outcome))

    async def cancel(self, actor: Actor, place: Place, rotation_id: RotationId) -> Rotation:
        """Withdraw a request. Raises as `confirm` does, but for `GroupBusy`."""
        rotation, _ = await self._admit(actor, place, rotation_id)
        event = self._event(Action.CANCELLED, actor, place, rotation=rotation)
        cancelled = await self._store.move(rotation_id, expected=State.REQUESTED, event=event)
        if cancelled is None:
            rotation, _ = await self._admit(actor, place, rotation_id)
            raise AlreadyDecided(rotation)
        return cancelled

    async def tidy(self) -> Sequence[Rotation]:
        """Write outcomes that could not be recorded, expire old requests, give up interrupted rotations.

        Returns those whose state changed. Raises `DatabaseError`.
        """
        changed = [await self._settle(claimed, outcome) for claimed, outcome in list(self._unrecorded.values())]
        changed += [await self._end(rotation) for rotation in await self._store.overdue()]
        return [rotation for rotation in changed if rotation is not None]

    async def _policy(self, actor: Actor) -> Policy:
        held = await self._grants.held_by(actor)
        return Policy(self._rules.team_id, held.grants, held.now)

    async def _admit(self, actor: Actor, place: Place, rotation_id: RotationId) -> tuple[Rotation, Policy]:
        """Let the actor decide the rotation: it exists, the rules allow it, and it still waits."""
        rotation = await self._store.get(rotation_id)
        if rotation is None:
            why = "No rotation with this id is known here."
            await self._trail.append(self._event(Action.DENIED, actor, place, value=rotation_id[:64], why=why))
            raise NotKnown
        policy = await self._policy(actor)
        if refused := policy.refuses_press(actor, rotation):
            await self._refuse(self._event(Action.DENIED, actor, place, rotation=rotation), refused)
        if rotation.state is State.REQUESTED and rotation.expires_at <= policy.now:
            rotation = await self._end(rotation) or await self._store.get(rotation_id) or rotation
        if rotation.state is not State.REQUESTED:
            raise AlreadyDecided(rotation)
        return rotation, policy

    async def _refuse(self, event: Event, refused: Refused) -> None:
        await self._trail.append(_with(event, Action.DENIED, why=str(refused)))
        raise refused

    async def _end(self, rotation: Rotation) -> Rotation | None:
        """Expire an overdue request, or give up an overdue rotation as unknown."""
        if rotation.state is State.REQUESTED:
            event = _by_system(rotation, Action.EXPIRED, {"why": "Nobody confirmed it in time."})
        else:
            event = _by_system(rotation, Action.UNKNOWN, _LEFT_BEHIND.detail)
        return await self._store.move(rotation.id, expected=rotation.state, event=event)

    async def _record(self, claimed: Claimed, outcome: Outcome) -> Rotation:
        self._unrecorded[claimed.claim] = (claimed, outcome)
        try:
            settled = await self._settle(claimed, outcome)
            return settled or await self._store.get(claimed.rotation.id) or claimed.rotation
        except Exception:  # noqa: BLE001 - whatever kept it from being written, people hear the truth, and `tidy` tries again
            return replace(claimed.rotation, state=State.UNKNOWN, detail={"explanation": _UNRECORDED})

    async def _settle(self, claimed: Claimed, outcome: Outcome) -> Rotation | None:
        """Write an outcome, also over an `unknown` that another replica wrote when the lease ran out."""
        rotation = claimed.rotation
        actor = rotation.requester if outcome is not _NEVER_STARTED else SYSTEM
        event = replace(_by_system(rotation, Action.of(outcome.state), outcome.detail), actor=actor)
        settled = await self._store.move(rotation.id, expected=State.ROTATING, event=event, claim=claimed.claim)
        if settled is None and outcome.state is not State.UNKNOWN:
            settled = await self._store.move(rotation.id, expected=State.UNKNOWN, event=event, claim=claimed.claim)
        self._unrecorded.pop(claimed.claim, None)
        return settled

    def _event(
        self,
        action: Action,
        actor: Actor,
        place: Place,
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


def _by_system(rotation: Rotation, action: Action, detail: dict[str, object]) -> Event:
    return Event(action, SYSTEM, rotation.organization, rotation.group, rotation.id, detail)
