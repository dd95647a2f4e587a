"""The use cases around reading: who may see which requests, pages of them, and the story of one."""

from collections.abc import Sequence
from typing import NoReturn, Protocol

from bot.domain.errors import NoSuchRotation, Refused
from bot.domain.history import PAGE, AccessPath, HistorySearch, HistoryStore, Home, Key, Page, Query, Story
from bot.domain.models import Action, Actor, Event, Grant, GroupName, Organization, RotationId, SlackContext, TeamId
from bot.domain.policy import Policy, Visibility
from bot.domain.ports import GrantSnapshot, GrantStore, Trail

MENU = 100
"""How many groups are offered to choose from."""

_OWN = "Only your own requests are shown."
_ROTATABLE = "Only the groups that you may rotate are shown."
_BOTH = "Only the groups that you may rotate and your own requests are shown."
_CROWDED = "There are too many groups to look through them all: name one to be sure to see its requests."


class Allowances(GrantStore, Protocol):
    """The allowlist as auditors read it."""

    async def all(self) -> GrantSnapshot:
        """Read every grant that was not revoked. Raises `DatabaseError`."""
        ...


class History:
    """One organization's history, as far as members of one Slack team may read it."""

    def __init__(
        self, team_id: TeamId, organization: Organization, grants: Allowances, store: HistoryStore, trail: Trail
    ) -> None:
        self._team_id = team_id
        self._organization = organization
        self._grants = grants
        self._store = store
        self._trail = trail

    async def page(  # noqa: PLR0913 - who asks where for what, and which page of it
        self,
        reader: Actor,
        place: SlackContext,
        query: Query,
        *,
        before: Key | None = None,
        after: Key | None = None,
        limit: int = PAGE,
    ) -> Page:
        """Read the newest requests, or those next to a key.

        Raises `Refused`, which is recorded first, `DuplicateDelivery` or `DatabaseError`.
        """
        sight = await self._admit(reader, place, query)
        return await self._page(HistorySearch(sight, query, before, after, limit))

    async def story(self, reader: Actor, place: SlackContext, rotation_id: RotationId) -> Story:
        """Read what became of one rotation. Raises as `page` does, or `NoSuchRotation`, which is recorded as well."""
        policy = await self._policy(reader)
        if refused := policy.refuses_reading(reader, None, None):
            await self._refuse(reader, place, refused, rotation=rotation_id[:64])
        story = await self._store.story(rotation_id)
        if story is None:
            why = "No rotation with this id is known here."
            await self._record(reader, place, None, why=why, rotation=rotation_id[:64])
            raise NoSuchRotation
        rotation = story.rotation
        if refused := policy.refuses_story(reader, rotation):
            await self._refuse(reader, place, refused, rotation.group, rotation=rotation.id)
        return story

    async def home(  # noqa: PLR0913 - as above
        self,
        reader: Actor,
        place: SlackContext,
        query: Query,
        *,
        before: Key | None = None,
        after: Key | None = None,
        limit: int = PAGE,
    ) -> Home:
        """Read all that the Home tab shows. Raises as `page` does."""
        sight = await self._admit(reader, place, query)
        return Home(
            page=await self._page(HistorySearch(sight, query, before, after, limit)),
            pending=await self._store.pending(reader),
            patterns=sight.patterns,
            allowlist=await self._in_force() if sight.everything else None,
            groups=await self._store.groups(sight, MENU),
            head=await self._trail.head(),
        )

    async def _page(self, search: HistorySearch) -> Page:
        found = await self._store.find(search)
        forth = search.after is None or search.before is not None
        older = found.more if forth else True
        newer = search.before is not None if forth else found.more
        return Page(
            asked=found.asked,
            older=found.asked[-1].key if found.asked and older else None,
            newer=found.asked[0].key if found.asked and newer else None,
            narrowed=_narrowed(search, crowded=found.crowded),
        )

    async def _in_force(self) -> Sequence[Grant]:
        held = await self._grants.all()
        return [grant for grant in held.grants if grant.in_force(held.now)]

    async def _policy(self, reader: Actor) -> Policy:
        held = await self._grants.held_by(reader)
        return Policy(self._team_id, held.grants, held.now)

    async def _admit(self, reader: Actor, place: SlackContext, query: Query) -> Visibility:
        policy = await self._policy(reader)
        if refused := policy.refuses_reading(reader, query.group, query.person):
            await self._refuse(reader, place, refused, query.group, **_sought(query))
        return policy.sight(reader)

    async def _refuse(
        self, reader: Actor, place: SlackContext, refused: Refused, group: GroupName | None = None, **sought: object
    ) -> NoReturn:
        await self._record(reader, place, group, why=str(refused), **sought)
        raise refused

    async def _record(self, reader: Actor, place: SlackContext, group: GroupName | None, **detail: object) -> None:
        facts = {"channel": place.channel_id, **detail}
        event = Event(Action.READING_DENIED, reader, self._organization, group, None, facts, place.delivery)
        await self._trail.append(event)


def _sought(query: Query) -> dict[str, str]:
    """Say what was asked for, besides the group."""
    since, until = (None if moment is None else moment.isoformat() for moment in (query.since, query.until))
    fields = {"person": query.person, "ending": query.ending, "since": since, "until": until}
    return {name: str(value) for name, value in fields.items() if value is not None}


def _narrowed(search: HistorySearch, *, crowded: bool) -> str | None:
    """Say in words what a search leaves out that the query asks for."""
    mine = search.query.person == search.sight.actor.user_id
    if AccessPath.OPEN in search.ways or mine:
        return None
    words = {(AccessPath.COVERED, AccessPath.OWN): _BOTH, (AccessPath.COVERED,): _ROTATABLE}.get(search.ways, _OWN)
    return f"{words} {_CROWDED}" if crowded else words
