"""Whether Turso takes the bot's API tokens, and what can be read of their reach without using it."""

import asyncio
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from bot.config import Settings
from bot.doctor.answers import Answer
from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, skipped, warning

WARN_DAYS = 14
SCOPES = frozenset({"read", "group:rotate-creds"})
"""What a token needs."""
_ROTATE = "group:rotate-creds"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


@dataclass(frozen=True, slots=True)
class Token:
    """One API token of the settings; without a group it is the organization's."""

    group: str | None
    secret: str

    @property
    def setting(self) -> str:
        """Name where it comes from."""
        return "TURSO_API_TOKEN" if self.group is None else f"TURSO_GROUP_TOKENS[{self.group}]"

    def __repr__(self) -> str:
        return f"Token({self.setting})"


def tokens(settings: Settings) -> Iterator[Token]:
    """List the tokens, the organization's last."""
    for group, secret in settings.turso_group_tokens.items():
        yield Token(group, secret.get_secret_value())
    if settings.turso_api_token is not None:
        yield Token(None, settings.turso_api_token.get_secret_value())


def mint(settings: Settings, group: str | None) -> str:
    """Write the command that mints a token for one group with nothing beside what the bot needs."""
    name = group or "GROUP"
    words = ["turso", "auth", "api-tokens", "mint", f"rotate-{name}", "--org", settings.turso_organization]
    return shlex.join([*words, "--group", name, "--scope", "read", "--scope", _ROTATE])


async def token(facts: Facts) -> list[Finding]:
    """See which tokens are alive, and for how long."""
    return list(await asyncio.gather(*(_alive(facts, each) for each in tokens(facts.settings))))


async def _alive(facts: Facts, each: Token) -> Finding:
    answer, fix = await facts.turso.get("/v1/auth/validate", each.secret), mint(facts.settings, each.group)
    if not answer.came:
        fix = f"Let this machine reach {facts.settings.turso_api_url}, or fix TURSO_API_URL."
        return failure(Check.TURSO_TOKEN, f"{answer.error}.", fix, each.setting)
    if answer.status == _UNAUTHORIZED:
        return failure(Check.TURSO_TOKEN, f"Turso does not take the token ({answer.error}).", fix, each.setting)
    end = answer.data.get("exp") if answer.yes and isinstance(answer.data, dict) else None
    if type(end) is not int:
        found = f"Turso does not say until when the token holds ({answer.error or 'an answer without exp'})."
        return skipped(Check.TURSO_TOKEN, found, subject=each.setting)
    return _judged_end(each, end, datetime.now(UTC), fix)


def _judged_end(each: Token, end: int, now: datetime, fix: str) -> Finding:
    if end < 0:
        return ok(Check.TURSO_TOKEN, "Turso takes the token; it has no end.", each.setting)
    ends = datetime.fromtimestamp(end, UTC)
    days = (ends - now).days
    if ends <= now:
        return failure(Check.TURSO_TOKEN, f"The token ended on {ends:%Y-%m-%d}.", fix, each.setting)
    if days < WARN_DAYS:
        found = f"The token ends on {ends:%Y-%m-%d}, in {days} days."
        return warning(Check.TURSO_TOKEN, found, fix, each.setting)
    return ok(Check.TURSO_TOKEN, f"Turso takes the token until {ends:%Y-%m-%d}.", each.setting)


async def organization(facts: Facts) -> list[Finding]:
    """See whether the organization can be reached with any of the tokens."""
    name, answers = facts.settings.turso_organization, []
    for each in tokens(facts.settings):
        answer = await facts.turso.get(path(facts, f"groups/{each.group}" if each.group else "groups"), each.secret)
        if answer.yes:
            return [ok(Check.ORGANIZATION, f"Turso knows the organization {name}.")]
        answers.append((each, answer))
    for each, answer in answers:
        if each.group is None and answer.status == _NOT_FOUND:
            found = f"Turso knows no organization {name}, or the token is not for it ({answer.error})."
            return [failure(Check.ORGANIZATION, found, "Set TURSO_ORGANIZATION to a slug of: turso org list")]
    raise Unreadable("No token can read anything in the organization.")


async def group(facts: Facts) -> list[Finding]:
    """See whether each group's token is for that group, and can read it."""
    own = [each for each in tokens(facts.settings) if each.group is not None]
    if not own:
        raise Unreadable("There are no tokens for single groups.")
    return list(await asyncio.gather(*(_fits(facts, each, own) for each in own)))


async def _fits(facts: Facts, each: Token, own: Sequence[Token]) -> Finding:
    name, fix = each.group or "", mint(facts.settings, each.group)
    answer = await _read(facts, each, name)
    if answer.yes:
        return ok(Check.GROUP, "The token reads the group.", name)
    if answer.status == _NOT_FOUND:
        found = f"Turso knows no group {name} in {facts.settings.turso_organization}."
        return failure(Check.GROUP, found, "Mend the name in TURSO_GROUP_TOKENS: turso group list", name)
    if answer.status != _FORBIDDEN:
        return skipped(Check.GROUP, f"The group cannot be read ({answer.error}).", subject=name)
    others = [other.group for other in own if other.group != name and (await _read(facts, each, other.group or "")).yes]
    if others:
        return failure(Check.GROUP, f"The token is for the group {others[0]}: it cannot rotate {name}.", fix, name)
    found = "The token may not read the group: it is for another one, or lacks the scope read."
    return failure(Check.GROUP, found, fix, name)


async def _read(facts: Facts, each: Token, name: str) -> Answer:
    return await facts.turso.get(path(facts, f"groups/{quote(name, safe='')}"), each.secret)


async def rights(facts: Facts) -> list[Finding]:
    """See what the organization's list of tokens says; a token's rights cannot be asked of the token itself."""
    names = [each.group for each in tokens(facts.settings) if each.group is not None]
    for each in tokens(facts.settings):
        listed = await facts.turso.get(path(facts, "api-tokens"), each.secret)
        if listed.yes and names:
            return [_judged_rights(facts.settings, name, listed) for name in names]
    raise Unreadable(
        "Turso shows what a token may do to tokens of the whole organization only; a rotation would show it."
    )


def _judged_rights(settings: Settings, name: str, listed: Answer) -> Finding:
    scopes = [frozenset(map(str, row.get("scopes") or ())) for row in listed.rows("tokens") if row.get("group") == name]
    fix = mint(settings, name)
    if not scopes:
        return skipped(Check.RIGHTS, "Turso lists no token for the group.", None, name)
    if not any(_ROTATE in held for held in scopes):
        return warning(Check.RIGHTS, f"No token that Turso lists for the group holds {_ROTATE}.", fix, name)
    if not any(held <= SCOPES for held in scopes):
        found = f"Each token that Turso lists for the group may do more than {' and '.join(sorted(SCOPES))}."
        return warning(Check.RIGHTS, found, fix, name)
    return ok(Check.RIGHTS, f"Turso lists a token for the group with {' and '.join(sorted(SCOPES))} alone.", name)


async def breadth(facts: Facts) -> list[Finding]:
    """See which tokens reach more than one group."""
    return list(await asyncio.gather(*(_reach(facts, each) for each in tokens(facts.settings))))


async def _reach(facts: Facts, each: Token) -> Finding:
    fix = f"One token for each group, in TURSO_GROUP_TOKENS: {mint(facts.settings, each.group)}"
    organizations, groups = await asyncio.gather(
        facts.turso.get("/v1/organizations", each.secret), facts.turso.get(path(facts, "groups"), each.secret)
    )
    listed = organizations.data if organizations.yes and isinstance(organizations.data, list) else []
    slugs = {str(row.get("slug")) for row in listed if isinstance(row, dict)} - {facts.settings.turso_organization}
    if slugs:
        found = f"The token is not restricted: it also reaches {_some(slugs)}."
        return warning(Check.BREADTH, found, fix, each.setting)
    names = {str(row.get("name")) for row in groups.rows("groups")} - {each.group}
    if names:
        found = f"The token reaches more than it needs: it lists {_some(names)}."
        return warning(Check.BREADTH, found, fix, each.setting)
    if groups.status not in {_OK, _FORBIDDEN}:
        return skipped(Check.BREADTH, f"The groups cannot be listed ({groups.error}).", subject=each.setting)
    if each.group is None:
        found = "The token lists no groups: it may be for one group, and then it belongs into TURSO_GROUP_TOKENS."
        return warning(Check.BREADTH, found, fix, each.setting)
    return ok(Check.BREADTH, "The token shows no group but its own.", each.setting)


def path(facts: Facts, rest: str) -> str:
    """Build the path of something in the organization."""
    return f"/v1/organizations/{quote(facts.settings.turso_organization, safe='')}/{rest}"


def _some(names: set[str]) -> str:
    first = sorted(names)[:5]
    return ", ".join(first) + (f" and {len(names) - len(first)} more" if len(names) > len(first) else "")
