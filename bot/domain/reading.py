"""The use cases of reading history: pages of requests, the story of one, and the Home tab."""

from datetime import datetime
from typing import NoReturn

from bot.domain.access import PolicySource
from bot.domain.errors import NoSuchRotation, Refused
from bot.domain.events import Action, Event
from bot.domain.history import PAGE, AccessPath, Cursor, HistoryQuery, HistorySearch, HistoryStore, Home, Page, Story
from bot.domain.models import Actor, GroupName, Organization, RotationId, SlackContext
from bot.domain.ports import AuditTrail, GrantStore

MENU = 100
"""How many groups the Home tab offers to choose from."""

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
        return Home(
            page=await self._page(search),
            pending=await self._store.pending(reader),
            patterns=visibility.patterns,
            allowlist=(await self._grants.all()).in_force if visibility.everything else None,
            groups=await self._store.groups(visibility, MENU),
            head=await self._trail.head(),
        )

    async def _admit(self, reader: Actor, context: SlackContext, cursor: Cursor, limit: int) -> HistorySearch:
        """Check that the reader may ask for this, and turn it into a search as of the database's time."""
        policy, query = await self._policies.policy_for(reader), cursor.query
        since, until = query.period.between(policy.now) if query.period else (None, None)
        if refused := policy.refuses_reading(reader, query.group, query.person):
            await self._refuse(reader, context, refused, query.group, **_sought(query, since, until))
        visibility = policy.visibility(reader)
        return HistorySearch(visibility, query, since, until, cursor.before, cursor.after, limit)

    async def _page(self, search: HistorySearch) -> Page:
        found = await self._store.find(search)
        backwards = search.after is None or search.before is not None
        older = found.more if backwards else True
        newer = search.before is not None if backwards else found.more
        return Page(
            entries=found.entries,
            older=found.entries[-1].key if found.entries and older else None,
            newer=found.entries[0].key if found.entries and newer else None,
            narrowed=_narrowed(search, crowded=found.crowded),
        )

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
