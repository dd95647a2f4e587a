"""A Turso organization: its groups, its databases, and the tokens that a rotation invalidates."""

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
    """The rights of a Platform API token, in one group or (`None`) in the whole organization."""

    scopes: frozenset[str] = ALL_SCOPES
    group: str | None = None
    exp: int = -1  # unix seconds; -1: never
    unrestricted: bool = False  # reaches every organization of its owner

    def allows(self, scope: str, group: str | None) -> bool:
        """Check whether the scope is granted for the group, or (`None`) for the organization."""
        return scope in self.scopes and self.group in {None, group}


@dataclass(slots=True)
class ServiceToken:
    """The token with which a service connects to its data, until a rotation invalidates it."""

    name: str
    group: str
    database: str | None = None  # minted for this one database, or (`None`) for the group
    works: bool = True


@dataclass(slots=True)
class LocalOrganization:
    """Groups with their databases, and the tokens of the services that use them."""

    slug: str
    groups: dict[str, tuple[str, ...]]
    services: list[ServiceToken] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)  # database → its host, where that is not the usual one

    @classmethod
    def of(cls, slug: str, groups: Mapping[str, Sequence[str]]) -> "LocalOrganization":
        """Create an organization with one working service for each group and each database."""
        organization = cls(slug, {group: tuple(databases) for group, databases in groups.items()})
        for group, databases in organization.groups.items():
            organization.services.append(ServiceToken(f"{group}-service", group))
            organization.services += [ServiceToken(f"{name}-service", group, name) for name in databases]
        return organization

    def group_of(self, database: str) -> str | None:
        """Find the group that holds the database."""
        return next((group for group, names in self.groups.items() if database in names), None)

    def rotate_group(self, group: str) -> None:
        """Invalidate the tokens of the group, except those minted for a single database."""
        for token in self.services:
            if token.group == group and token.database is None:
                token.works = False

    def rotate_database(self, database: str) -> None:
        """Invalidate the tokens of one database."""
        for token in self.services:
            if token.database == database:
                token.works = False

    def uuid_of(self, name: str) -> str:
        """Derive an identifier that is the same in every run."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{self.slug}.turso.io"))
