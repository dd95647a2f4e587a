"""What the bot makes of its environment."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.config import DatabaseSettings, Settings, load
from bot.database_url import database_hosts, parse_database_url
from bot.domain.errors import SettingsError
from bot.trail.chain import Seal

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-bot-secret",
    "SLACK_APP_TOKEN": "xapp-app-secret",
    "SLACK_SIGNING_SECRET": "signing-secret",
    "TURSO_API_TOKEN": "eyJ.turso.secret",
    "TURSO_GROUP_TOKENS": '{"payments": "payments-secret", "search": "search-secret"}',
    "DATABASE_URL": "postgresql://bot:database-secret@db.internal/rotations?sslpassword=key-file-secret",
    "AUDIT_KEY": "an-audit-key-that-is-secret",
    "AUDIT_KEYS_BEFORE": '["the-first-key-is-a-secret", " the-next-key-is-a-secret "]',
}
SEVERAL = {"TURSO_GROUP_TOKENS", "DATABASE_URL", "AUDIT_KEYS_BEFORE"}
LEAST = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "TURSO_ORGANIZATION": "acme",
    "TURSO_API_TOKEN": "turso-1",
}
Environment = Callable[..., None]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Start from no setting at all, in an empty directory; the function given sets some."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)

    def put(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return put


def complaint(kind: type[DatabaseSettings] = Settings) -> str:
    with pytest.raises(SettingsError) as caught:
        load(kind)
    return str(caught.value)


def test_four_settings_are_enough(environment: Environment) -> None:
    environment(**LEAST)

    settings = load(Settings)

    assert settings.slack_bot_token.get_secret_value() == "xoxb-1"
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.turso_api_url == "https://api.turso.tech"
    assert settings.database_url.render_as_string() == "sqlite:///turso-rotate.db"
    assert (settings.turso_timeout, settings.confirm_ttl) == (30, 300)
    assert (settings.host, settings.port) == ("127.0.0.1", 3000)
    assert (settings.log_level, settings.log_format) == ("info", None)


def test_everything_that_is_missing_is_named_at_once() -> None:
    assert complaint().splitlines() == [
        "SLACK_BOT_TOKEN is required.",
        "TURSO_ORGANIZATION is required.",
        "SLACK_SIGNING_SECRET: set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP).",
        "TURSO_GROUP_TOKENS: set TURSO_API_TOKEN or TURSO_GROUP_TOKENS.",
    ]


def test_looking_after_the_database_needs_no_setting() -> None:
    settings = load(DatabaseSettings)

    assert settings.database_url.render_as_string() == "sqlite:///turso-rotate.db"
    assert settings.slack_bot_token is None


def test_a_file_is_read_and_the_environment_wins(environment: Environment) -> None:
    Path(".env").write_text("LOG_LEVEL=debug\nPORT=4000\nSLACK_CLIENT_ID=1\nNOT_OURS=x\n")
    environment(**LEAST, PORT="5000")

    settings = load(Settings)

    assert (settings.log_level, settings.port) == ("debug", 5000)


def test_an_unreadable_file_is_named() -> None:
    Path(".env").write_bytes(b"PORT=\xff\xfe\n")

    assert complaint() == ".env cannot be read as UTF-8 text."


def test_blank_is_unset_and_a_secret_loses_its_newline(environment: Environment) -> None:
    environment(**LEAST | {"SLACK_BOT_TOKEN": "xoxb-1\n"}, AUDIT_CHANNEL=" ", PORT="", TURSO_GROUP_TOKENS="")

    settings = load(Settings)

    assert settings.slack_bot_token.get_secret_value() == "xoxb-1"
    assert (settings.audit_channel, settings.port, settings.turso_group_tokens) == (None, 3000, {})


def test_group_tokens_are_enough_for_turso(environment: Environment) -> None:
    environment(**LEAST | {"TURSO_API_TOKEN": ""}, TURSO_GROUP_TOKENS='{"payments": "p-1\\n"}')

    assert load(Settings).turso_group_tokens["payments"].get_secret_value() == "p-1"


def test_earlier_keys_come_oldest_first_and_without_the_blanks_around_them(environment: Environment) -> None:
    environment(AUDIT_KEYS_BEFORE='["the first key, with a comma", " the next key in use\\n"]')

    settings = load(DatabaseSettings)
    assert settings.secrets() == ("the first key, with a comma", "the next key in use")
    assert [seal.fingerprint for seal in settings.earlier_seals()] == [
        Seal(key).fingerprint for key in (b"the first key, with a comma", b"the next key in use")
    ]


@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    ("typed", "used"),
    [
        ("sqlite:///bot.db", "sqlite:///bot.db"),
        ("sqlite+aiosqlite:////var/lib/bot.db", "sqlite:////var/lib/bot.db"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("PostgreSQL://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p%40@h:6432/d?sslmode=require", "postgresql+psycopg://u:p%40@h:6432/d?sslmode=require"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://u@h/d?password=p", "postgresql+psycopg://u:p@h/d"),
        ("postgresql:///?user=u&dbname=d&host=h", "postgresql+psycopg://u@/d?host=h"),
        ("postgresql://u:p@a,b/d", "postgresql+psycopg://u:p@/d?host=a%2Cb"),
        (
            "postgresql://a:1,[::2]:3/d?sslmode=require",
            "postgresql+psycopg:///d?host=a%2C%3A%3A2&port=1%2C3&sslmode=require",
        ),
        ("postgresql:///d?host=a:1&host=b:2", "postgresql+psycopg:///d?host=a%2Cb&port=1%2C2"),
        ("postgresql://%2Frun%2Fpg/d", "postgresql+psycopg:///d?host=%2Frun%2Fpg"),
        ("postgresql://h/d?prepare_threshold=0&application_name=x&keepalives_idle=5", None),
        ("postgresql://h/d?options=-c%20search_path%3Dbot%20--work-mem%3D4MB", None),
        ("sqlite:///file:bot.db?mode=ro&uri=true", None),
    ],
)
def test_a_database_gets_its_driver(environment: Environment, typed: str, used: str | None) -> None:
    environment(DATABASE_URL=typed)
    url = load(DatabaseSettings).database_url

    assert url == make_url(used or typed.replace("postgresql:", "postgresql+psycopg:"))


@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ("sqlite://bot.db", "must be sqlite:///file.db"),
        ("mysql://u:secret@h/d", "must begin with"),
        ("postgresql+asyncpg://u:secret@h/d", "must begin with"),
        ("postgresql://u:secret@h:port/d", "must be a database URL"),
        ("secret", "must be a database URL"),
        ("postgresql://u:p?secret@h/d", "must be a database URL"),
        ("postgresql://h/d?sslmode=", "must be a database URL"),
        ("postgresql://a:secret,b:1/d", "name the hosts as in postgresql://a:5432,b:5432/database"),
        ("postgresql://a,b/d?port=1,2,3", "port must be one number, or as many as there are hosts"),
        ("postgresql://h/d?pool_size=5", "PostgreSQL knows no parameter pool_size"),
        ("postgresql://h/d?sslmode=secret", "sslmode has a value that PostgreSQL does not accept"),
        ("postgresql://h/d?connect_timeout=secret", "connect_timeout has a value that PostgreSQL does not accept"),
        ("postgresql://h/d?sslmode=require&sslmode=secret", "sslmode is given twice"),
        ("postgresql://h/d?hostaddr=secret", "hostaddr has a value that PostgreSQL does not accept"),
        ("postgresql://h/d?service=secret", "service cannot be set: name the host"),
        ("postgresql://h/d?prepare_threshold=secret", "prepare_threshold must be a number, or none"),
        ("postgresql://h/d?options=-f%20secret", "options can only contain settings"),
        ("sqlite:///bot\n.db", "has a line break, or another control character"),
        ("sqlite:///file:bot%0A.db?mode=rw&uri=true", "has a line break"),
        ("postgresql://host/bot\x7f", "another control character"),
        ("sqlite:///file://host/bot.db?mode=rw&uri=true", "must name a file of this machine"),
        ("sqlite:///bot.db?timeout=30", "SQLite takes no parameter timeout"),
        ("sqlite:///bot.db?mode=ro", "only sqlite:///file:bot.db?mode=ro&uri=true"),
    ],
)
def test_a_database_that_cannot_serve_is_refused(environment: Environment, typed: str, reason: str) -> None:
    environment(DATABASE_URL=typed)

    said = complaint(DatabaseSettings)

    assert said.startswith("DATABASE_URL: ")
    assert reason in said
    assert "secret" not in said


@pytest.mark.fault("F35", "F49")
def test_every_host_that_a_database_may_be_at_is_known(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "from-the-environment")
    named = ("b,c", "d:1,e:2", "/d?host=f&host=g:1&hostaddr=10.0.0.1", "%2Frun%2Fpg", "")

    found = [database_hosts(parse_database_url(f"postgresql://{each}/d")) for each in named[:2]]
    found += [database_hosts(parse_database_url(f"postgresql://{each}")) for each in named[2:]]

    assert found == [("b", "c"), ("d", "e"), ("f", "g", "10.0.0.1"), (), ("from-the-environment",)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-secret"),
        ("SLACK_BOT_TOKEN", "xoxb-"),
        ("SLACK_APP_TOKEN", "xoxb-secret"),
        ("SLACK_SIGNING_SECRET", "secret secret"),
        ("SLACK_API_URL", "ftp://secret/"),
        ("SLACK_API_URL", "https://user:secret@slack.com"),
        ("TURSO_ORGANIZATION", "../secret"),
        ("TURSO_API_TOKEN", "secret\nheader"),
        ("TURSO_API_TOKEN", "sécret"),
        ("TURSO_GROUP_TOKENS", '{"a/b": "secret"}'),
        ("TURSO_GROUP_TOKENS", '{"a": 5}'),
        ("TURSO_GROUP_TOKENS", '{"a": "secret secret"}'),
        ("TURSO_GROUP_TOKENS", "secret"),
        ("TURSO_API_URL", "secret"),
        ("TURSO_API_URL", "https://api.turso.tech?secret"),
        ("TURSO_TIMEOUT", "0"),
        ("TURSO_TIMEOUT", "601"),
        ("TURSO_TIMEOUT", "nan"),
        ("CONFIRM_TTL", "0"),
        ("CONFIRM_TTL", "1501"),
        ("AUDIT_CHANNEL", "#secret"),
        ("AUDIT_KEY", "short secret"),
        ("AUDIT_KEYS_BEFORE", '["short secret"]'),
        ("AUDIT_KEYS_BEFORE", '["long enough but secret", 5]'),
        ("AUDIT_KEYS_BEFORE", "long enough but secret"),
        ("AUDIT_KEYS_BEFORE", "[" * 100_000),
        ("AUDIT_KEYS_BEFORE", r'["long enough but secret\u0000"]'),
        ("AUDIT_KEYS_BEFORE", r'["long enough but secret\ud800"]'),
        ("AUDIT_KEY", "long enough\x1bbut secret"),
        ("AUDIT_KEY", "\ufefflong enough but secret"),
        ("AUDIT_KEY", "long enough but secret\udcff"),
        ("TURSO_GROUP_TOKENS", '{"a":' * 100_000),
        ("PORT", "65536"),
        ("LOG_LEVEL", "secret"),
        ("LOG_FORMAT", "secret"),
    ],
)
def test_a_malformed_setting_is_named_in_one_line_and_not_shown(
    environment: Environment, name: str, value: str
) -> None:
    environment(**LEAST | {name: value})

    said = complaint()

    assert said.startswith(f"{name}: ")
    assert len(said.splitlines()) == 1
    assert "secret" not in said.removeprefix(name)


def test_urls_get_the_slash_that_their_readers_expect(environment: Environment) -> None:
    environment(**LEAST, SLACK_API_URL="http://127.0.0.1:9/api", TURSO_API_URL="http://127.0.0.1:8/")

    settings = load(Settings)

    assert settings.slack_api_url == "http://127.0.0.1:9/api/"
    assert settings.turso_api_url == "http://127.0.0.1:8"


def test_every_secret_is_listed_for_redaction(environment: Environment) -> None:
    environment(**LEAST | SECRETS)

    listed = load(Settings).secrets()

    assert sorted(listed) == sorted(
        {
            *(SECRETS[name] for name in SECRETS if name not in SEVERAL),
            *("the-first-key-is-a-secret", "the-next-key-is-a-secret"),
            *("payments-secret", "search-secret", "database-secret", "key-file-secret"),
        }
    )


def test_settings_do_not_show_their_secrets(environment: Environment) -> None:
    environment(**LEAST | SECRETS)

    settings = load(Settings)

    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert [secret for secret in settings.secrets() if secret in shown] == []
    assert "database-secret" not in f"{settings.database_url!r} {settings.database_url}"


def test_not_even_the_traceback_of_a_complaint_holds_a_secret(environment: Environment) -> None:
    environment(**LEAST | SECRETS | {"PORT": "no-port", "TURSO_GROUP_TOKENS": '{"a b": "payments-secret"}'})

    with pytest.raises(SettingsError) as caught:
        load(Settings)

    shown = "".join(traceback.TracebackException.from_exception(caught.value).format())
    assert "secret" not in shown.lower().replace("_secret", "")
    assert caught.value.__context__ is None
