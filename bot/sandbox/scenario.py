"""The people, channels, groups and services of the sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.sandbox.organization import LocalOrganization, ServiceToken
from bot.sandbox.workspace import Person

ORGANIZATION = "acme"
COMMANDS = ("/turso-rotate", "/turso-audit")
ESCAPED_COMMAND = "/turso-audit"
"""The command with `should_escape` in the manifest."""
CHANNELS: Mapping[str, str] = {"C0INCIDENT": "incident", "C0AUDIT": "audit-log"}
AUDIT_CHANNEL = "C0AUDIT"
GROUP_DATABASES: Mapping[str, Sequence[str]] = {
    "payments": ("ledger", "invoices"),
    "default": ("website",),
    "analytics": ("events", "reports", "funnels"),
}


@dataclass(frozen=True, slots=True)
class ScenarioUser:
    """A person, the pattern of the groups they may rotate (`None`: no group), and one line about them."""

    person: Person
    may_rotate: str | None
    about: str
    may_audit: bool = False


ALICE = Person("U0ALICE01", "alice")
BOB = Person("U0B0B0002", "bob")
MALLORY = Person("U0MALL003", "mallory")
GUS = Person("U0GUEST04", "gus", team_id="T0OTHER99", is_guest=True)
USERS = (
    ScenarioUser(ALICE, "*", "may rotate and read all", may_audit=True),
    ScenarioUser(BOB, "default", "may rotate “default” only"),
    ScenarioUser(MALLORY, None, "not on the allowlist"),
    ScenarioUser(GUS, None, "guest from another team"),
)


def service_tokens(organization: LocalOrganization) -> list[ServiceToken]:
    """List the services that run, each with the token it connects with."""
    tokens = (
        ("checkout-api", "payments", None),
        ("billing-worker", "payments", None),
        ("ledger-export", "payments", "ledger"),
        ("storefront", "default", None),
        ("dashboards", "analytics", None),
        ("nightly-etl", "analytics", "events"),
    )
    return [ServiceToken(*each) for each in tokens if each[1] in organization.groups]
