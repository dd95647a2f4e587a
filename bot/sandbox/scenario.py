"""Who and what is in the sandbox: people, channels, groups, and services that hold tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.sandbox.organization import Organization, ServiceToken
from bot.sandbox.workspace import Person

ORGANIZATION = "acme"
COMMANDS = ("/turso-rotate", "/turso-audit")
ESCAPED = "/turso-audit"
"""The command of which the manifest says `should_escape`."""
CHANNELS: Mapping[str, str] = {"C0INCIDENT": "incident", "C0AUDIT": "audit-log"}
INCIDENT, AUDIT = CHANNELS
GROUPS: Mapping[str, Sequence[str]] = {
    "payments": ("ledger", "invoices"),
    "default": ("website",),
    "analytics": ("events", "reports", "funnels"),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A person, what they may rotate (a pattern; `None`: nothing), and who they are in one line."""

    person: Person
    may: str | None
    about: str
    audits: bool = False


ALICE = Person("U0ALICE01", "alice")
BOB = Person("U0B0B0002", "bob")
MALLORY = Person("U0MALL003", "mallory")
GUS = Person("U0GUEST04", "gus", team_id="T0OTHER99", is_guest=True)
ROLES = (
    Role(ALICE, "*", "may rotate and read all", audits=True),
    Role(BOB, "default", "may rotate “default” only"),
    Role(MALLORY, None, "a stranger: on no allowlist"),
    Role(GUS, None, "a guest from another team"),
)


def organization_services(organization: Organization) -> list[ServiceToken]:
    """List the services that run, each with the token it connects with."""
    held = (
        ("checkout-api", "payments", None),
        ("billing-worker", "payments", None),
        ("ledger-export", "payments", "ledger"),
        ("storefront", "default", None),
        ("dashboards", "analytics", None),
        ("nightly-etl", "analytics", "events"),
    )
    return [ServiceToken(*each) for each in held if each[1] in organization.groups]
