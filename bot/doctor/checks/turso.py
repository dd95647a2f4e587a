"""Check that Turso accepts the bot's API tokens, and what can be learned about their reach without using it."""

import asyncio
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from bot.config import Settings
from bot.doctor.calls import ServiceAnswer
from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, skipped, warning

WARN_DAYS = 14
SCOPES = frozenset({"read", "group:rotate-creds"})
"""The scopes that a token needs."""
_ROTATE = "group:rotate-creds"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404


@dataclass(frozen=True, slots=True)
class ConfiguredToken:
    """An API token from the settings: a group's, or the organization's if it has no group."""

    group: str | None
    secret: str

    @property
    def setting(self) -> str:
        """The setting that holds it."""
        return "TURSO_API_TOKEN" if self.group is None else f"TURSO_GROUP_TOKENS[{self.group}]"

    def __repr__(self) -> str:
        return f"ConfiguredToken({self.setting})"


def configured_tokens(settings: Settings) -> Iterator[ConfiguredToken]:
    """Return the tokens from the settings, the organization's last."""
    for group, secret in settings.turso_group_tokens.items():
        yield ConfiguredToken(group, secret.get_secret_value())
    if settings.turso_api_token is not None:
        yield ConfiguredToken(None, settings.turso_api_token.get_secret_value())


def organization_path(context: CheckContext, rest: str) -> str:
    """Return the path of a resource of the organization."""
    return f"/v1/organizations/{quote(context.settings.turso_organization, safe='')}/{rest}"


async def check_turso_token(context: CheckContext) -> list[Finding]:
    """Check that each token is valid, and for how long."""
    tokens = configured_tokens(context.settings)
    return list(await asyncio.gather(*(_validity_finding(context, each) for each in tokens)))


async def _validity_finding(context: CheckContext, token: ConfiguredToken) -> Finding:
    answer = await context.turso.get("/v1/auth/validate", token.secret)
    fix = _mint_command(context.settings, token.group)
    if not answer.arrived:
        fix = f"Let this machine connect to {context.settings.turso_api_url}, or correct TURSO_API_URL."
        return failure(Check.TURSO_TOKEN, f"{answer.error}.", fix, token.setting)
    if answer.status == _UNAUTHORIZED:
        return failure(Check.TURSO_TOKEN, f"Turso does not accept the token ({answer.error}).", fix, token.setting)
    expiry = answer.data.get("exp") if answer.succeeded and isinstance(answer.data, dict) else None
    if type(expiry) is not int:
        found = f"Turso does not say when the token expires ({answer.error or 'an answer without exp'})."
        return skipped(Check.TURSO_TOKEN, found, subject=token.setting)
    return _expiry_finding(token, expiry, datetime.now(UTC), fix)


def _expiry_finding(token: ConfiguredToken, expiry: int, now: datetime, fix: str) -> Finding:
    if expiry < 0:
        return ok(Check.TURSO_TOKEN, "Turso accepts the token; it does not expire.", token.setting)
    expires = datetime.fromtimestamp(expiry, UTC)
    days = (expires - now).days
    if expires <= now:
        return failure(Check.TURSO_TOKEN, f"The token expired on {expires:%Y-%m-%d}.", fix, token.setting)
    if days < WARN_DAYS:
        found = f"The token expires on {expires:%Y-%m-%d}, in {days} days."
        return warning(Check.TURSO_TOKEN, found, fix, token.setting)
    return ok(Check.TURSO_TOKEN, f"Turso accepts the token until {expires:%Y-%m-%d}.", token.setting)


async def check_turso_organization(context: CheckContext) -> list[Finding]:
    """Check that at least one token can read the organization."""
    name, answers = context.settings.turso_organization, []
    for token in configured_tokens(context.settings):
        page = f"groups/{token.group}" if token.group else "groups"
        answer = await context.turso.get(organization_path(context, page), token.secret)
        if answer.succeeded:
            return [ok(Check.TURSO_ORGANIZATION, f"Turso knows the organization {name}.")]
        answers.append((token, answer))
    for token, answer in answers:
        if token.group is None and answer.status == _NOT_FOUND:
            found = f"Turso knows no organization {name}, or the token is not for it ({answer.error})."
            fix = "Set TURSO_ORGANIZATION to one of the slugs in: turso org list"
            return [failure(Check.TURSO_ORGANIZATION, found, fix)]
    raise CannotCheck("No token can read anything in the organization.")


async def check_turso_group(context: CheckContext) -> list[Finding]:
    """Check that each group's token is for that group and can read it."""
    tokens = [token for token in configured_tokens(context.settings) if token.group is not None]
    if not tokens:
        raise CannotCheck("There are no tokens for single groups.")
    return list(await asyncio.gather(*(_group_finding(context, token, tokens) for token in tokens)))


async def _group_finding(context: CheckContext, token: ConfiguredToken, tokens: Sequence[ConfiguredToken]) -> Finding:
    name, fix = token.group or "", _mint_command(context.settings, token.group)
    answer = await _read_group(context, token, name)
    if answer.succeeded:
        return ok(Check.TURSO_GROUP, "The token can read the group.", name)
    if answer.status == _NOT_FOUND:
        found = f"Turso knows no group {name} in {context.settings.turso_organization}."
        fix = "Correct the name in TURSO_GROUP_TOKENS. The groups are listed by: turso group list"
        return failure(Check.TURSO_GROUP, found, fix, name)
    if answer.status != _FORBIDDEN:
        return skipped(Check.TURSO_GROUP, f"The group cannot be read ({answer.error}).", subject=name)
    for other in (each.group or "" for each in tokens if each.group != name):
        if (await _read_group(context, token, other)).succeeded:
            found = f"The token is for the group {other}: it cannot rotate {name}."
            return failure(Check.TURSO_GROUP, found, fix, name)
    found = "The token cannot read the group: it is for another one, or lacks the scope read."
    return failure(Check.TURSO_GROUP, found, fix, name)


async def _read_group(context: CheckContext, token: ConfiguredToken, name: str) -> ServiceAnswer:
    return await context.turso.get(organization_path(context, f"groups/{quote(name, safe='')}"), token.secret)


async def check_turso_rights(context: CheckContext) -> list[Finding]:
    """Check the scopes in the organization's list of tokens; a token cannot be asked for its own."""
    names = [token.group for token in configured_tokens(context.settings) if token.group is not None]
    if not names:
        raise CannotCheck("There are no tokens for single groups.")
    for token in configured_tokens(context.settings):
        listed = await context.turso.get(organization_path(context, "api-tokens"), token.secret)
        if listed.succeeded:
            return [_rights_finding(context.settings, name, listed) for name in names]
    raise CannotCheck("No token may list the organization's API tokens, which would show the scopes.")


def _rights_finding(settings: Settings, name: str, listed: ServiceAnswer) -> Finding:
    tokens = [token for token in listed.members("tokens") if token.get("group") == name]
    scopes = [frozenset(map(str, token.get("scopes") or ())) for token in tokens]
    fix, needed = _mint_command(settings, name), " and ".join(sorted(SCOPES))
    if not scopes:
        return skipped(Check.TURSO_RIGHTS, "Turso lists no token for the group.", None, name)
    if not any(_ROTATE in held for held in scopes):
        found = f"No token that Turso lists for the group has the scope {_ROTATE}."
        return warning(Check.TURSO_RIGHTS, found, fix, name)
    if not any(held <= SCOPES for held in scopes):
        found = f"Each token that Turso lists for the group has more scopes than {needed}."
        return warning(Check.TURSO_RIGHTS, found, fix, name)
    return ok(Check.TURSO_RIGHTS, f"Turso lists a token for the group with only {needed}.", name)


async def check_turso_breadth(context: CheckContext) -> list[Finding]:
    """Check that no token reaches more than one group."""
    tokens = configured_tokens(context.settings)
    return list(await asyncio.gather(*(_breadth_finding(context, token) for token in tokens)))


async def _breadth_finding(context: CheckContext, token: ConfiguredToken) -> Finding:
    fix = f"Use one token for each group, in TURSO_GROUP_TOKENS: {_mint_command(context.settings, token.group)}"
    organizations, groups = await asyncio.gather(
        context.turso.get("/v1/organizations", token.secret),
        context.turso.get(organization_path(context, "groups"), token.secret),
    )
    listed = organizations.data if organizations.succeeded and isinstance(organizations.data, list) else []
    slugs = {str(each.get("slug")) for each in listed if isinstance(each, dict)} - {context.settings.turso_organization}
    if slugs:
        found = f"The token is not restricted: it also reaches {_first_few(slugs)}."
        return warning(Check.TURSO_BREADTH, found, fix, token.setting)
    names = {str(each.get("name")) for each in groups.members("groups")} - {token.group}
    if names:
        found = f"The token reaches more than it needs: it lists {_first_few(names)}."
        return warning(Check.TURSO_BREADTH, found, fix, token.setting)
    if groups.status not in {_OK, _FORBIDDEN}:
        return skipped(Check.TURSO_BREADTH, f"The groups cannot be listed ({groups.error}).", subject=token.setting)
    if token.group is None:
        found = "The token lists no groups. If it is for one group, move it to TURSO_GROUP_TOKENS."
        return warning(Check.TURSO_BREADTH, found, fix, token.setting)
    return ok(Check.TURSO_BREADTH, "The token lists no group but its own.", token.setting)


def _mint_command(settings: Settings, group: str | None) -> str:
    """Return the command that mints a token for one group with only the scopes that the bot needs."""
    name = group or "GROUP"
    words = ["turso", "auth", "api-tokens", "mint", f"rotate-{name}", "--org", settings.turso_organization]
    return shlex.join([*words, "--group", name, "--scope", "read", "--scope", _ROTATE])


def _first_few(names: set[str]) -> str:
    first = sorted(names)[:5]
    return ", ".join(first) + (f" and {len(names) - len(first)} more" if len(names) > len(first) else "")
