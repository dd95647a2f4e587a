"""The use cases of asking for a rotation: list what one may rotate, and request it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from bot.domain.access import PolicySource
from bot.domain.errors import BotError, NoSuchGroup, Refused, Unguarded
from bot.domain.events import Action, Event
from bot.domain.models import (
    Actor,
    Databases,
    GroupInfo,
    GroupName,
    GroupWorld,
    Organization,
    Request,
    Rotation,
    RotationId,
    SlackContext,
)
from bot.domain.naming import GroupFinder, Meaning
from bot.domain.policy import refuses_lockout
from bot.domain.ports import AuditTrail, NewRotation, RotationStore, Turso
from bot.domain.refusals import Refusal

_TYPED = 80
"""How many characters are recorded of what names no group."""


@dataclass(frozen=True, slots=True)
class RotationConfig:
    """Whose rotations these are, and how many seconds a confirmation and a call may take."""

    organization: Organization
    confirm_seconds: int
    call_seconds: float
    database_hosts: Sequence[str]
    """Every host at which the bot's own database may be; none for a file."""


@dataclass(frozen=True, slots=True)
class RotationPorts:
    """What the use cases of a rotation need from outside."""

    policies: PolicySource
    store: RotationStore
    trail: AuditTrail
    turso: Turso
    new_id: Callable[[], str]


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


class Requests:
    """The requests for rotations of one organization."""

    def __init__(self, config: RotationConfig, ports: RotationPorts) -> None:
        self._config = config
        self._policies = ports.policies
        self._store = ports.store
        self._trail = ports.trail
        self._turso = ports.turso
        self._finder = GroupFinder(ports.turso)
        self._new_id = ports.new_id

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
        `NoSuchGroup`, `Unguarded`.
        """
        policy = await self._policies.policy_for(actor)
        meaning = await self._finder.find(policy, actor, request)
        group = meaning.group
        event = replace(self._event(Action.REQUESTED, actor, context, reason=request.reason), group=group)
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
        if lockout := refuses_lockout(info, self._config.database_hosts, group):
            await self._refuse(event, lockout)
        rotation_id = RotationId(self._new_id())
        event = replace(event, rotation_id=rotation_id)
        seconds, databases = self._config.confirm_seconds, Databases.of(info.databases)
        new = NewRotation(rotation_id, event, context.channel_id, request.reason, seconds, databases)
        try:
            opened = await self._store.open(new)
        except Unguarded as error:
            await self._refuse(replace(event, rotation_id=None), error)
        return ConfirmationPrompt(opened.rotation, info, opened.world, also=meaning.also)

    async def reject(self, actor: Actor, context: SlackContext, typed: str, why: str) -> None:
        """Record a command that names no possible group, with the first characters of what was typed."""
        await self._trail.append(self._event(Action.REJECTED, actor, context, typed=typed[:_TYPED], why=why))

    async def _refuse(self, event: Event, why: BotError) -> NoReturn:
        await self._trail.append(_with(event, Action.DENIED, why=str(why)))
        raise why

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

    def _event(self, action: Action, actor: Actor, context: SlackContext, **detail: object) -> Event:
        return Event.at(context, action, actor, self._config.organization, **detail)


def _with(event: Event, action: Action, **detail: object) -> Event:
    return replace(event, action=action, detail={**event.detail, **detail})


def _unnamed(event: Event, request: Request) -> Event:
    """Return an event with what was typed instead of a group: a typo is no group to list or to count."""
    typed = (request.typed or request.group)[:_TYPED]
    return replace(event, group=None, detail={**event.detail, "typed": typed})
