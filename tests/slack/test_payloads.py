"""Who acted, and where replies may go, as payloads say it."""

import pytest

from bot.domain.models import Actor, TeamId, UserId
from bot.slack.payloads import Installation, read_command, read_home_opened, read_interaction

HERE, SISTER, ELSEWHERE = "T012AB3CD", "T0SISTER1", "T0OTHER99"
ENTERPRISE, OTHER_ENTERPRISE = "E0LOCAL01", "E0OTHER99"
ALICE = "U0ALICE01"
PLAIN = Installation(TeamId(HERE), None, "https://slack.com/api/")
GRID = Installation(TeamId(HERE), ENTERPRISE, "https://slack.com/api/")

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


SLACKS = [
    "https://hooks.slack.com/commands/T1/2/abc",
    "https://hooks.slack.com/",
    "https://hooks.slack-gov.com/actions/T1/2/abc?x=1#y",
    "https://acme.enterprise.slack.com/x",
    "https://slack.com/x",
    "https://hooks.slack.com:443/x",
    "HTTPS://HOOKS.Slack.COM/X",
]
STRANGERS = [
    "http://hooks.slack.com/x",
    "http://hooks.slack.com:443/x",
    "https://hooks.slack.com:8443/x",
    "https://hooks.slack.com:0443/x",
    "https://hooks.slack.com:/x",
    "https://slack.com.evil.org/x",
    "https://hooks.slack.com.evil.org/x",
    "https://evilslack.com/x",
    "https://hooks.evilslack.com/x",
    "https://slack.com-evil.org/x",
    "https://slack-gov.com.evil.org/x",
    "https://evil-slack-gov.com/x",
    "https://slack-govxcom/x",
    "https://hooks.slackxcom/x",
    "https://slack.org/x",
    "https://evil.org/hooks.slack.com/x",
    "https://evil.org?https://hooks.slack.com/x",
    "https://evil.org#.slack.com/x",
    "https://evil.org\\.slack.com/x",
    "https://evil.org\\@hooks.slack.com/x",
    "https://hooks.slack.com\\@evil.org/x",
    "https://hooks.slack.com@evil.org/x",
    "https://hooks.slack.com:x@evil.org/x",
    "https://evil.org@hooks.slack.com/x",
    "https://:@hooks.slack.com/x",
    "https://hooks.slack.com./x",
    "https://hooks..slack.com/x",
    "https://.slack.com/x",
    "https://evil.org%2f.slack.com/x",
    "https://hooks%2eslack.com/x",
    "https://evil.org\t.slack.com/x",
    "https://evil.org\n.slack.com/x",
    "https://evil.org .slack.com/x",
    "https://hooks.slack.com/x\r\nHost: evil.org",
    " https://hooks.slack.com/x",
    "https://hooks.slack.com/x ",
    "https://hooks.slack.com/x\n",
    "https://hooks.sl\u0430ck.com/x",  # a Cyrillic letter
    "https://hooks.\u017flack.com/x",  # a long s, which is an s if case is ignored
    "https://hooks.slac\u212a.com/x",  # the sign for Kelvin, which is a k
    "https://evil.org\u3002slack.com/x",  # a full stop, which becomes a dot
    "https://evil.org\u2044.slack.com/x",
    "https://hooks.xn--slck-6cd.com/x",
    "https:/hooks.slack.com/x",
    "https:///hooks.slack.com/x",
    "https:hooks.slack.com/x",
    "https:\\\\hooks.slack.com/x",
    "//hooks.slack.com/x",
    "hooks.slack.com/x",
    "ftp://hooks.slack.com/x",
    "https+unix://hooks.slack.com/x",
    "https://hooks.slack.com",
    "https://[::1]/x",
    "https://127.0.0.1/x",
    "https://",
    ["https://hooks.slack.com/x"],
    {"url": "https://hooks.slack.com/x"},
    7,
]


@pytest.mark.parametrize("url", SLACKS)
@pytest.mark.fault("F67")
def test_a_url_of_slacks_is_taken(url: str) -> None:
    body = {"response_url": url}

    assert read_command(body, PLAIN).response_url == read_interaction(body, PLAIN).response_url == url


@pytest.mark.parametrize("url", [*STRANGERS, None, ""])
@pytest.mark.fault("F67")
def test_a_url_of_anybody_else_is_none(url: object) -> None:
    body = {"response_url": url}

    assert (read_command(body, PLAIN).response_url, read_interaction(body, PLAIN).response_url) == (None, None)


@pytest.mark.parametrize(
    ("api_url", "own", "strange"),
    [
        ("http://127.0.0.1:80/api/", "http://127.0.0.1:80/x", ["https://127.0.0.1:80/x", "http://127.0.0.1/x"]),
        ("http://127.0.0.1:80/api/", "HTTP://127.0.0.1:80/x", ["http://127.0.0.1:8080/x", "http://a@127.0.0.1:80/x"]),
        ("http://[::1]:80/api/", "http://[::1]:80/x", ["http://[::1]:81/x", "http://::1:80/x", "http://[::2]:80/x"]),
        (
            "https://Slack.Example/api/",
            "https://slack.example/x",
            ["http://slack.example/x", "https://a.slack.example/x"],
        ),
        ("https://slack-gov.com/api/", "https://slack-gov.com/x", ["http://slack-gov.com/x", "https://slack.com/x"]),
    ],
)
@pytest.mark.fault("F67")
def test_a_url_at_the_host_of_the_setting_is_taken_with_its_scheme_and_port(
    api_url: str, own: str, strange: list[str]
) -> None:
    installation = Installation(TeamId(HERE), None, api_url)

    assert installation.response_url({"response_url": own}) == own
    assert installation.response_url({"response_url": "https://hooks.slack.com/x"})
    assert [each for each in strange if installation.response_url({"response_url": each})] == []
