"""A Turso organization: its groups, its databases, and the tokens that a rotation ends."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALL_SCOPES = frozenset(
    {
        "read",
        "db:create",
        "db:delete",
        "db:configure",
        "db:mint-token",
        "db:rotate-creds",
        "group:configure",
        "group:mint-token",
        "group:rotate-creds",
    }
)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What the bearer of a control-plane token may do; without a group: in the whole organization."""

    scopes: frozenset[str] = ALL_SCOPES
    group: str | None = None
    exp: int = -1  # unix seconds; -1: never
    unrestricted: bool = False  # reaches every organization of whoever minted it

    def allows(self, scope: str, group: str | None) -> bool:
        """Say whether the scope is granted for the group, or (`None`) for the organization."""
        return scope in self.scopes and self.group in {None, group}


@dataclass(slots=True)
class ServiceToken:
    """A token that a service connects to its data with; a rotation ends it."""

    name: str
    group: str
    database: str | None = None  # minted for this one database, or (`None`) for the group
    works: bool = True
    jwt: str = field(default_factory=lambda: f"eyJhbGciOiJFZERTQSJ9.{secrets.token_urlsafe(24)}.sandbox", repr=False)


@dataclass(slots=True)
class Organization:
    """Groups with their databases, and a running service for each group and each database."""

    slug: str
    groups: dict[str, tuple[str, ...]]
    legacy: set[str] = field(default_factory=set)  # groups whose databases share the group's signing key
    services: list[ServiceToken] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)  # database → its host, where that is not the usual one

    @classmethod
    def of(cls, slug: str, groups: Mapping[str, Sequence[str]]) -> "Organization":
        """Open an organization in which everything still works."""
        organization = cls(slug, {group: tuple(databases) for group, databases in groups.items()})
        for group, databases in organization.groups.items():
            organization.services.append(ServiceToken(f"{group}-service", group))
            organization.services += [ServiceToken(f"{name}-service", group, name) for name in databases]
        return organization

    def group_of(self, database: str) -> str | None:
        """Find the group that holds the database."""
        return next((group for group, names in self.groups.items() if database in names), None)

    def mint(self, group: str, database: str | None = None) -> ServiceToken:
        """Mint one more token, which dies at the next rotation."""
        token = ServiceToken(f"{database or group}-minted-{len(self.services)}", group, database)
        self.services.append(token)
        return token

    def rotate_group(self, group: str) -> None:
        """End the tokens of the group; those of single databases go on, unless the group is a legacy one."""
        for token in self.services:
            if token.group == group and (token.database is None or group in self.legacy):
                token.works = False

    def rotate_database(self, database: str) -> None:
        """End the tokens of one database."""
        for token in self.services:
            if token.database == database:
                token.works = False

    def uuid_of(self, name: str) -> str:
        """Derive an identifier that stays the same from run to run."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{self.slug}.turso.io"))
