"""The app manifest that people paste into Slack."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot.slack.history.pages import USAGE

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "tests/data/manifest.schema.1.0.0.json").read_text())
TEXT = (ROOT / "manifest.yml").read_text()
ADDRESS = "https://rotate.example.com/slack/events"


def for_http(text: str) -> str:
    """Do what the manifest's first comment tells people to do for HTTP."""
    return text.replace("socket_mode_enabled: true", "socket_mode_enabled: false").replace("#http ", "")


def command(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in manifest["features"]["slash_commands"] if each["command"] == name]
    return dict(found)


@pytest.fixture
def manifest() -> dict[str, Any]:
    return dict(yaml.safe_load(TEXT))


@pytest.mark.parametrize("text", [TEXT, for_http(TEXT)], ids=["socket mode", "http"])
def test_slack_accepts_it(text: str) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(yaml.safe_load(text))


def test_a_key_that_slack_does_not_know_is_found(manifest: dict[str, Any]) -> None:
    manifest["settings"]["socket_mode"] = True

    with pytest.raises(jsonschema.ValidationError, match="socket_mode"):
        jsonschema.Draft7Validator(SCHEMA).validate(manifest)


def test_texts_fit_into_slack(manifest: dict[str, Any]) -> None:
    about = manifest["display_information"]

    assert len(about["name"]) <= 35
    assert len(about["description"]) <= 140
    assert 175 <= len(about["long_description"]) <= 4000


def test_it_asks_for_no_more_than_it_needs(manifest: dict[str, Any]) -> None:
    assert manifest["oauth_config"] == {"scopes": {"bot": ["commands", "chat:write"]}}
    assert manifest["settings"]["org_deploy_enabled"] is False
    assert manifest["settings"]["token_rotation_enabled"] is False


def test_what_is_typed_arrives_as_the_parsers_expect_it(manifest: dict[str, Any]) -> None:
    rotate, audit = command(manifest, "/turso-rotate"), command(manifest, "/turso-audit")

    assert (rotate["usage_hint"], rotate["should_escape"]) == ("<group> [reason]", False)
    assert (audit["usage_hint"], audit["should_escape"]) == (USAGE.strip("`").partition(" ")[2], True)
    assert USAGE in (ROOT / "README.md").read_text()


def test_it_offers_what_the_bot_answers(manifest: dict[str, Any]) -> None:
    commands = [each["command"] for each in manifest["features"]["slash_commands"]]

    assert commands == ["/turso-rotate", "/turso-audit"]
    assert manifest["features"]["app_home"]["home_tab_enabled"] is True
    assert manifest["settings"]["event_subscriptions"] == {"bot_events": ["app_home_opened"]}


def test_by_default_slack_needs_no_address(manifest: dict[str, Any]) -> None:
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"] == {"is_enabled": True}
    assert "http" not in json.dumps(manifest)


def test_for_http_every_door_has_the_same_address() -> None:
    manifest = yaml.safe_load(for_http(TEXT))
    settings = manifest["settings"]

    assert settings["socket_mode_enabled"] is False
    assert "the four lines" in TEXT
    assert TEXT.count(f"#http url: {ADDRESS}") + TEXT.count(f"#http request_url: {ADDRESS}") == 4
    assert settings["interactivity"]["request_url"] == ADDRESS
    assert settings["event_subscriptions"]["request_url"] == ADDRESS
    assert [each["url"] for each in manifest["features"]["slash_commands"]] == [ADDRESS, ADDRESS]
