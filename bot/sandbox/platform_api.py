"""The endpoints of Turso's Platform API, in the shapes of its OpenAPI description."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from bot.sandbox.organization import ApiToken, Organization

Json = dict[str, Any] | list[Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; without `content` its body is empty."""

    status: int
    content: Json | None = None

    @property
    def body(self) -> bytes:
        """Return the body as JSON in UTF-8."""
        return b"" if self.content is None else json.dumps(self.content).encode()


class Refused(Exception):
    """The API says no, in Turso's words."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.reply = Reply(status, {"error": error})


@dataclass(frozen=True, slots=True)
class Route:
    """A request line, taken apart: each segment of the path percent-decoded after the split."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]]

    @classmethod
    def of(cls, method: str, target: str) -> "Route":
        """Read the request line; `target` is raw, exactly as on the wire."""
        parts = urlsplit(target)
        segments = tuple(unquote(segment) for segment in parts.path.split("/")[1:])
        return cls(method, segments, parse_qs(parts.query))

    @property
    def rotates(self) -> tuple[str, str] | None:
        """Return ("groups" or "databases", name) when this is a rotation."""
        match (self.method, *self.segments):
            case ("POST", "v1", "organizations", _, "groups" | "databases" as kind, name, "auth", "rotate"):
                return kind, name
            case _:
                return None


class PlatformApi:
    """Answer requests against one organization."""

    def __init__(self, organization: Organization, tokens: Mapping[str, ApiToken]) -> None:
        self.organization = organization
        self.tokens = dict(tokens)
        self.paid = False  # audit logs need a paid plan
        self.others: list[str] = ["side-project"]  # organizations that unrestricted tokens reach as well

    def answers(self, route: Route, authorization: str | None) -> Reply:
        """Answer one request; what it asks for has happened when this returns."""
        try:
            return self._answers(route, self._authenticates(authorization))
        except Refused as refused:
            return refused.reply

    def _authenticates(self, authorization: str | None) -> ApiToken:
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Refused(401, "missing or malformed Authorization header")
        token = self.tokens.get(secret)
        if token is None:
            raise Refused(401, "token contains an invalid number of segments")
        if 0 <= token.exp <= time.time():
            raise Refused(401, "token is expired")
        return token

    def _answers(self, route: Route, token: ApiToken) -> Reply:
        match (route.method, *route.segments):
            case ("GET", "v1", "auth", "validate"):
                return Reply(200, {"exp": token.exp})
            case ("GET", "v1", "organizations"):
                slugs = (self.organization.slug, *(self.others if token.unrestricted else ()))
                return Reply(200, [_organization(slug) for slug in slugs])
            case (_, "v1", "organizations", self.organization.slug, "groups", *rest):
                return self._groups(route, rest, token)
            case (_, "v1", "organizations", self.organization.slug, "databases", *rest):
                return self._databases(route, rest, token)
            case ("GET", "v1", "organizations", self.organization.slug, "api-tokens"):
                return self._api_tokens(token)
            case ("GET", "v1", "organizations", self.organization.slug, "audit-logs"):
                return self._audit_logs(token)
            case _:
                raise Refused(404, "not found")

    def _groups(self, route: Route, rest: list[str], token: ApiToken) -> Reply:
        match (route.method, *rest):
            case ("GET",):
                _permits(token, "read")
                return Reply(200, {"groups": [_group(self.organization, name) for name in self.organization.groups]})
            case ("GET", name):
                self._finds_group(token, "read", name)
                return Reply(200, {"group": _group(self.organization, name)})
            case ("POST", name, "auth", "rotate"):
                self._finds_group(token, "group:rotate-creds", name)
                self.organization.rotate_group(name)
                return Reply(200)
            case ("POST", name, "auth", "tokens"):
                self._finds_group(token, "group:mint-token", name)
                return Reply(200, {"jwt": self.organization.mint(name).jwt})
            case _:
                raise Refused(404, "not found")

    def _databases(self, route: Route, rest: list[str], token: ApiToken) -> Reply:
        match (route.method, *rest):
            case ("GET",):
                return self._lists_databases(token, route.query.get("group", [None])[0])
            case ("GET", name):
                group = self._finds_database(token, "read", name)
                return Reply(200, {"database": _database(self.organization, group, name)})
            case ("POST", name, "auth", "rotate"):
                group = self._finds_database(token, "db:rotate-creds", name)
                return self._rotates_database(group, name)
            case ("POST", name, "auth", "tokens"):
                group = self._finds_database(token, "db:mint-token", name)
                return Reply(200, {"jwt": self.organization.mint(group, name).jwt})
            case _:
                raise Refused(404, "not found")

    def _rotates_database(self, group: str, name: str) -> Reply:
        if group in self.organization.legacy:
            raise Refused(400, "cannot rotate credentials for a single database in a group")
        self.organization.rotate_database(name)
        return Reply(200)

    def _lists_databases(self, token: ApiToken, only: str | None) -> Reply:
        _permits(token, "read", only)
        found = [
            _database(self.organization, group, name)
            for group, names in self.organization.groups.items()
            for name in names
            if only in {None, group}
        ]
        return Reply(200, {"databases": found})

    def _api_tokens(self, token: ApiToken) -> Reply:
        _permits(token, "read")
        listed = [each for each in self.tokens.values() if not each.unrestricted]
        return Reply(200, {"tokens": [_api_token(self.organization, each) for each in listed]})

    def _audit_logs(self, token: ApiToken) -> Reply:
        _permits(token, "read")
        if not self.paid:
            raise Refused(403, "audit logs are not available on your current plan")
        pages = {"page": 1, "page_size": 10, "total_pages": 1, "total_rows": 0}
        return Reply(200, {"audit_logs": [], "pagination": pages})  # Turso records no rotation there

    def _finds_group(self, token: ApiToken, scope: str, name: str) -> None:
        _permits(token, scope, name)
        if name not in self.organization.groups:
            raise Refused(404, "group not found")

    def _finds_database(self, token: ApiToken, scope: str, name: str) -> str:
        group = self.organization.group_of(name)
        _permits(token, scope, group)
        if group is None:
            raise Refused(404, f"could not find database with name {name}: record not found")
        return group


def _permits(token: ApiToken, scope: str, group: str | None = None) -> None:
    if not token.allows(scope, group):
        raise Refused(403, f"token does not have the required permission: {scope}")


def _organization(slug: str) -> Json:
    flags = {"overages": False, "require_mfa": False, "blocked_reads": False, "blocked_writes": False}
    names = {"name": slug, "slug": slug, "type": "team"}
    return {**names, **flags, "plan_id": "starter", "plan_timeline": "", "platform": ""}


def _group(organization: Organization, name: str) -> Json:
    return {
        "name": name,
        "version": "v0.24.32",
        "uuid": organization.uuid_of(name),
        "locations": ["aws-us-east-1"],
        "primary": "aws-us-east-1",
        "archived": False,
        "delete_protection": False,
    }


def _database(organization: Organization, group: str, name: str) -> Json:
    return {
        "Name": name,
        "DbId": organization.uuid_of(f"{name}.{group}"),
        "Hostname": organization.hosts.get(name, f"{name}-{organization.slug}.turso.io"),
        "block_reads": False,
        "block_writes": False,
        "regions": ["aws-us-east-1"],
        "primaryRegion": "aws-us-east-1",
        "group": group,
        "delete_protection": False,
        "parent": None,
    }


def _api_token(organization: Organization, token: ApiToken) -> Json:
    name = f"{token.group or organization.slug}-bot"
    row = {
        "name": name,
        "id": organization.uuid_of(name),
        "organization": organization.slug,
        "created_at": "2026-05-21",
    }
    return row if token.group is None else {**row, "group": token.group, "scopes": sorted(token.scopes)}
