"""The use cases of reading history: pages of requests, the story of one, and the Home tab."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from bot.domain.access import PolicySource
from bot.domain.errors import NoSuchRotation, Refused, UsageError
from bot.domain.events import Action, Event
from bot.domain.history import PAGE, AccessPath, Cursor, HistoryQuery, HistorySearch, HistoryStore, Home, Page, Story
from bot.domain.models import Actor, GroupName, Organization, RotationId, SlackContext
from bot.domain.names import GROUP_NAME
from bot.domain.naming import alike, similar
from bot.domain.policy import Visibility
from bot.domain.ports import AuditTrail, GrantStore

MENU = 100
"""How many groups the Home tab offers to choose from."""
_MOST_GROUPS = 2000

_OWN = "You only see your own requests."
_ROTATABLE = "You only see the groups that you may rotate."
_BOTH = "You only see the groups that you may rotate, and your own requests."
_CROWDED = "There are too many groups to search them all: name one to be sure to see its requests."


class History:
    """One organization's history, as far as each reader may see it."""

    def __init__(
        self,
        organization: Organization,
        policies: PolicySource,
        grants: GrantStore,
        store: HistoryStore,
        trail: AuditTrail,
    ) -> None:
        self._organization = organization
        self._policies = policies
        self._grants = grants
        self._store = store
        self._trail = trail

    async def page(self, reader: Actor, context: SlackContext, cursor: Cursor, limit: int = PAGE) -> Page:
        """Read one page of requests.

        Raises `Refused`, which is recorded first, `UsageError`, `DuplicateDelivery` or `DatabaseError`.
        """
        return await self._page(await self._admit(reader, context, cursor, limit))

    async def spelled(self, reader: Actor, query: HistoryQuery) -> HistoryQuery:
        """Return what somebody typed with the group's name as history spells it.

        Raises `UsageError` if the reader may ask for a group of that name, but there is none. What they may not ask
        for, `page` refuses in the same words whether or not it exists.
        """
        policy = await self._policies.policy_for(reader)
        group, visibility = query.group, policy.visibility(reader)
        if group is None or reader.team_id != policy.team_id or group in visibility.patterns:
            return query
        person = reader.user_id if query.person == reader.user_id else None
        found = await self._store.find(HistorySearch(visibility, HistoryQuery(group, person), limit=1))
        if found.entries or found.unreadable:
            return query
        known = await self._known(visibility)
        if same := alike(group, known):
            return replace(query, group=same)
        if policy.refuses_reading(reader, group, query.person):
            return query
        close = await asyncio.to_thread(similar, group, known)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(f"There is no history of a group called {group} that you may see.{hint}")

    async def visible_story(self, reader: Actor, rotation_id: RotationId) -> Story | None:
        """Read the story of a rotation if there is one that the reader may see; nobody learns which of the two."""
        policy = await self._policies.policy_for(reader)
        story = await self._store.story(rotation_id)
        return None if story is None or policy.refuses_story(reader, story.rotation) else story

    async def story(self, reader: Actor, context: SlackContext, rotation_id: RotationId) -> Story:
        """Read the story of one rotation. Raises as `page` does, or `NoSuchRotation`, which is recorded too."""
        policy = await self._policies.policy_for(reader)
        if refused := policy.refuses_reading(reader, None, None):
            await self._refuse(reader, context, refused, rotation=rotation_id[:64])
        story = await self._store.story(rotation_id)
        if story is None:
            await self._record(reader, context, None, why=NoSuchRotation.recorded_why, rotation=rotation_id[:64])
            raise NoSuchRotation
        rotation = story.rotation
        if refused := policy.refuses_story(reader, rotation):
            await self._refuse(reader, context, refused, rotation.group, rotation=rotation.id)
        return story

    async def home(self, reader: Actor, context: SlackContext, cursor: Cursor) -> Home:
        """Read everything that the Home tab shows. Raises as `page` does."""
        search = await self._admit(reader, context, cursor, PAGE)
        visibility = search.visibility
        grants = await self._grants.all() if visibility.everything else None
        page, pending = await self._page(search), await self._store.pending(reader)
        return Home(
            page=page,
            pending=pending,
            patterns=visibility.patterns,
            allowlist=None if grants is None else grants.in_force,
            groups=await self._store.groups(visibility, MENU),
            head=await self._trail.head(),
            unreadable=[*pending.unreadable, *(grants.unreadable if grants else ())],
        )

    async def _admit(self, reader: Actor, context: SlackContext, cursor: Cursor, limit: int) -> HistorySearch:
        """Check that the reader may ask for this, and turn it into a search as of the database's time."""
        policy, query = await self._policies.policy_for(reader), cursor.query
        since, until = query.period.between(policy.now) if query.period else (None, None)
        visibility = policy.visibility(reader)
        if refused := policy.refuses_reading(reader, query.group, query.person):
            if query.group is not None:
                close = await asyncio.to_thread(similar, query.group, await self._known(visibility))
                refused = Refused(str(refused), refused.refusal, similar=close)
            await self._refuse(reader, context, refused, query.group, **_sought(query, since, until))
        return HistorySearch(visibility, query, since, until, cursor.before, cursor.after, limit)

    async def _page(self, search: HistorySearch) -> Page:
        found = await self._store.find(search)
        backwards = search.after is None or search.before is not None
        older = found.more if backwards else True
        newer = search.before is not None if backwards else found.more
        return Page(
            entries=found.entries,
            older=found.ends[1] if found.ends and older else None,
            newer=found.ends[0] if found.ends and newer else None,
            narrowed=_narrowed(search, crowded=found.crowded),
            unreadable=found.unreadable,
        )

    async def _known(self, visibility: Visibility) -> Sequence[GroupName]:
        """List the groups that the reader may see: those with a history, and those that their grants name."""
        named = [GroupName(pattern) for pattern in visibility.patterns if GROUP_NAME.fullmatch(pattern)]
        return list(dict.fromkeys([*named, *await self._store.groups(visibility, _MOST_GROUPS)]))

    async def _refuse(
        self, reader: Actor, context: SlackContext, refused: Refused, group: GroupName | None = None, **sought: object
    ) -> NoReturn:
        await self._record(reader, context, group, why=str(refused), **sought)
        raise refused

    async def _record(self, reader: Actor, context: SlackContext, group: GroupName | None, **detail: object) -> None:
        facts = {"channel": context.channel_id, **detail}
        event = Event(Action.READING_DENIED, reader, self._organization, group, None, facts, context.delivery)
        await self._trail.append(event)


def _sought(query: HistoryQuery, since: datetime | None, until: datetime | None) -> dict[str, str]:
    """Return what was asked for, except the group, as the detail of an event."""
    first, after = (None if moment is None else moment.isoformat() for moment in (since, until))
    fields = {"person": query.person, "outcome": query.outcome, "since": first, "until": after}
    return {name: str(value) for name, value in fields.items() if value is not None}


def _narrowed(search: HistorySearch, *, crowded: bool) -> str | None:
    """Return what the reader does not see of what they asked for, in words."""
    mine = search.query.person == search.visibility.actor.user_id
    if AccessPath.OPEN in search.paths or mine:
        return None
    words = {(AccessPath.COVERED, AccessPath.OWN): _BOTH, (AccessPath.COVERED,): _ROTATABLE}.get(search.paths, _OWN)
    return f"{words} {_CROWDED}" if crowded else words
