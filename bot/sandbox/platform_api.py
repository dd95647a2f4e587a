"""The endpoints of Turso's Platform API that the bot uses, in the shapes of its OpenAPI description."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from bot.sandbox.json_object import JsonObject
from bot.sandbox.organization import ApiToken, LocalOrganization


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An HTTP response; without `content` its body is empty."""

    status: int
    content: JsonObject | list[JsonObject] | None = None

    @property
    def body(self) -> bytes:
        """Return the body as JSON in UTF-8."""
        return b"" if self.content is None else json.dumps(self.content).encode()


class ApiRefusal(Exception):
    """The API refuses a request, in Turso's words."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.response = ApiResponse(status, {"error": error})


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A parsed request line; the path was split before its segments were percent-decoded."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]]

    @classmethod
    def parse(cls, method: str, target: str) -> "RequestLine":
        """Parse a request line; `target` is raw, exactly as on the wire."""
        parts = urlsplit(target)
        segments = tuple(unquote(segment) for segment in parts.path.split("/")[1:])
        return cls(method, segments, parse_qs(parts.query))

    @property
    def rotates(self) -> tuple[str, str] | None:
        """Return ("groups" or "databases", name) if this is a rotation."""
        match (self.method, *self.segments):
            case ("POST", "v1", "organizations", _, "groups" | "databases" as kind, name, "auth", "rotate"):
                return kind, name
            case _:
                return None


class PlatformApi:
    """Answer requests about one organization."""

    def __init__(self, organization: LocalOrganization, tokens: Mapping[str, ApiToken]) -> None:
        self.organization = organization
        self.tokens = dict(tokens)
        self._other_slugs = ("side-project",)  # organizations that unrestricted tokens reach as well

    def handle(self, line: RequestLine, authorization: str | None) -> ApiResponse:
        """Answer one request; it has taken effect when this returns."""
        try:
            return self._route(line, self._authenticate(authorization))
        except ApiRefusal as refusal:
            return refusal.response

    def _authenticate(self, authorization: str | None) -> ApiToken:
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise ApiRefusal(401, "missing or malformed Authorization header")
        token = self.tokens.get(secret)
        if token is None:
            raise ApiRefusal(401, "token contains an invalid number of segments")
        if 0 <= token.exp <= time.time():
            raise ApiRefusal(401, "token is expired")
        return token

    def _route(self, line: RequestLine, token: ApiToken) -> ApiResponse:
        match (line.method, *line.segments):
            case ("GET", "v1", "auth", "validate"):
                return ApiResponse(200, {"exp": token.exp})
            case ("GET", "v1", "organizations"):
                slugs = (self.organization.slug, *(self._other_slugs if token.unrestricted else ()))
                return ApiResponse(200, [_organization(slug) for slug in slugs])
            case (_, "v1", "organizations", self.organization.slug, "groups", *rest):
                return self._groups(line, rest, token)
            case (_, "v1", "organizations", self.organization.slug, "databases", *rest):
                return self._databases(line, rest, token)
            case ("GET", "v1", "organizations", self.organization.slug, "api-tokens"):
                return self._api_tokens(token)
            case _:
                raise ApiRefusal(404, "not found")

    def _groups(self, line: RequestLine, rest: list[str], token: ApiToken) -> ApiResponse:
        match (line.method, *rest):
            case ("GET",):
                _require(token, "read")
                groups = [_group(self.organization, name) for name in self.organization.groups]
                return ApiResponse(200, {"groups": groups})
            case ("GET", name):
                self._require_group(token, "read", name)
                return ApiResponse(200, {"group": _group(self.organization, name)})
            case ("POST", name, "auth", "rotate"):
                self._require_group(token, "group:rotate-creds", name)
                self.organization.rotate_group(name)
                return ApiResponse(200)
            case _:
                raise ApiRefusal(404, "not found")

    def _databases(self, line: RequestLine, rest: list[str], token: ApiToken) -> ApiResponse:
        match (line.method, *rest):
            case ("GET",):
                return self._list_databases(token, line.query.get("group", [None])[0])
            case ("GET", name):
                group = self._require_database(token, "read", name)
                return ApiResponse(200, {"database": _database(self.organization, group, name)})
            case ("POST", name, "auth", "rotate"):
                self._require_database(token, "db:rotate-creds", name)
                self.organization.rotate_database(name)
                return ApiResponse(200)
            case _:
                raise ApiRefusal(404, "not found")

    def _list_databases(self, token: ApiToken, only: str | None) -> ApiResponse:
        _require(token, "read", only)
        found = [
            _database(self.organization, group, name)
            for group, names in self.organization.groups.items()
            for name in names
            if only in {None, group}
        ]
        return ApiResponse(200, {"databases": found})

    def _api_tokens(self, token: ApiToken) -> ApiResponse:
        _require(token, "read")
        listed = [each for each in self.tokens.values() if not each.unrestricted]
        return ApiResponse(200, {"tokens": [_api_token(self.organization, each) for each in listed]})

    def _require_group(self, token: ApiToken, scope: str, name: str) -> None:
        _require(token, scope, name)
        if name not in self.organization.groups:
            raise ApiRefusal(404, "group not found")

    def _require_database(self, token: ApiToken, scope: str, name: str) -> str:
        group = self.organization.group_of(name)
        _require(token, scope, group)
        if group is None:
            raise ApiRefusal(404, f"could not find database with name {name}: record not found")
        return group


def _require(token: ApiToken, scope: str, group: str | None = None) -> None:
    if not token.allows(scope, group):
        raise ApiRefusal(403, f"token does not have the required permission: {scope}")


def _organization(slug: str) -> JsonObject:
    flags = {"overages": False, "require_mfa": False, "blocked_reads": False, "blocked_writes": False}
    names = {"name": slug, "slug": slug, "type": "team"}
    return {**names, **flags, "plan_id": "starter", "plan_timeline": "", "platform": ""}


def _group(organization: LocalOrganization, name: str) -> JsonObject:
    return {
        "name": name,
        "version": "v0.24.32",
        "uuid": organization.uuid_of(name),
        "locations": ["aws-us-east-1"],
        "primary": "aws-us-east-1",
        "archived": False,
        "delete_protection": False,
    }


def _database(organization: LocalOrganization, group: str, name: str) -> JsonObject:
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


def _api_token(organization: LocalOrganization, token: ApiToken) -> JsonObject:
    name = f"{token.group or organization.slug}-bot"
    row = {
        "name": name,
        "id": organization.uuid_of(name),
        "organization": organization.slug,
        "created_at": "2026-05-21",
    }
    return row if token.group is None else {**row, "group": token.group, "scopes": sorted(token.scopes)}
