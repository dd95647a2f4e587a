"""Who acted, as payloads say it."""

import pytest

from bot.domain.models import Actor, TeamId, UserId
from bot.slack.payloads import Installation, read_command, read_home_opened, read_interaction

HERE, SISTER, ELSEWHERE = "T012AB3CD", "T0SISTER1", "T0OTHER99"
ENTERPRISE, OTHER_ENTERPRISE = "E0LOCAL01", "E0OTHER99"
ALICE = "U0ALICE01"
PLAIN = Installation(TeamId(HERE), None)
GRID = Installation(TeamId(HERE), ENTERPRISE)

TEAMS = [  # what Slack says, and whose the bot takes it for
    (HERE, None, HERE),
    (HERE, ENTERPRISE, HERE),
    (HERE, OTHER_ENTERPRISE, HERE),
    (ENTERPRISE, ENTERPRISE, HERE),
    (ENTERPRISE, None, HERE),
    (SISTER, ENTERPRISE, HERE),
    (SISTER, None, SISTER),
    (SISTER, "", SISTER),
    (ELSEWHERE, OTHER_ENTERPRISE, ELSEWHERE),
    (OTHER_ENTERPRISE, OTHER_ENTERPRISE, OTHER_ENTERPRISE),
    (OTHER_ENTERPRISE, ENTERPRISE, OTHER_ENTERPRISE),
    (ALICE, ENTERPRISE, ALICE),
    (None, ENTERPRISE, "unknown"),
    ("", ENTERPRISE, "unknown"),
    ("unknown", ENTERPRISE, "unknown"),
    (f"{SISTER}\n", ENTERPRISE, "unknown"),
    (SISTER.lower(), ENTERPRISE, "unknown"),
    ([HERE], ENTERPRISE, "unknown"),
    ({"id": HERE}, ENTERPRISE, "unknown"),
]


def actors(installation: Installation, team: object, enterprise: object) -> list[Actor]:
    """Read the same person from each kind of payload."""
    command = {"team_id": team, "user_id": ALICE, "enterprise_id": enterprise}
    press = {
        "user": {"id": ALICE, "team_id": team},
        "team": {"id": HERE, "enterprise_id": ENTERPRISE},
        "enterprise": {"id": enterprise},
        "is_enterprise_install": False,
    }
    opened = {
        "event": {"type": "app_home_opened", "tab": "home", "user": ALICE},
        "team_id": team,
        "enterprise_id": enterprise,
        "context_team_id": HERE,
        "context_enterprise_id": ENTERPRISE,
        "authorizations": [{"team_id": HERE, "enterprise_id": ENTERPRISE}],
    }
    home = read_home_opened(opened, installation)
    assert home is not None
    used = [read_interaction(press | where, installation) for where in ({}, {"view": {"type": "home"}})]
    return [read_command(command, installation).actor, *(each.actor for each in used), home.actor]


@pytest.mark.parametrize(("team", "enterprise", "meant"), TEAMS)
@pytest.mark.fault("F60")
def test_everybody_of_the_enterprise_is_of_the_bots_team(team: object, enterprise: object, meant: str) -> None:
    assert actors(GRID, team, enterprise) == [Actor(TeamId(meant), UserId(ALICE))] * 4


@pytest.mark.parametrize(("team", "enterprise", "_"), TEAMS)
@pytest.mark.fault("F60")
def test_without_an_enterprise_a_team_is_what_slack_says(team: object, enterprise: object, _: str) -> None:
    known = isinstance(team, str) and team in {HERE, SISTER, ELSEWHERE, ENTERPRISE, OTHER_ENTERPRISE, ALICE}

    assert actors(PLAIN, team, enterprise) == [Actor(TeamId(str(team) if known else "unknown"), UserId(ALICE))] * 4


@pytest.mark.parametrize("enterprise", [None, ENTERPRISE, [ENTERPRISE], 5])
@pytest.mark.fault("F60")
def test_an_enterprise_that_is_no_object_lets_nobody_in(enterprise: object) -> None:
    press = {"user": {"id": ALICE, "team_id": SISTER}, "team": {"id": HERE}, "enterprise": enterprise}

    assert read_interaction(press, GRID).actor.team_id == SISTER
