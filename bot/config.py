"""Settings from the environment, checked and typed."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL

from bot.database_url import SECRET_PARAMETERS, parse_database_url
from bot.domain.errors import SettingsError
from bot.domain.names import GROUP_NAME
from bot.trail.chain import Seal

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]

_ORGANIZATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,40}")
_NOT_SETTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ufeff\\ud800-\\udfff]")
MIN_KEY_LENGTH = 16
"""The shortest key of the audit trail, in characters."""


def _token(prefix: str = "") -> AfterValidator:
    """Check that a secret fits in a header: otherwise the HTTP library would quote it in an error."""

    def check(secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        if not value.startswith(prefix):
            raise ValueError(f"must start with {prefix}")
        if re.fullmatch(r"[!-~]+", value.removeprefix(prefix)) is None:
            raise ValueError("must be printable ASCII characters without spaces, and not empty")
        return secret

    return AfterValidator(check)


def fault_of_key(key: str) -> str | None:
    """Say what keeps a text from being a key of the audit trail, or return `None`.

    Anyone who guesses a short key can forge the trail, and not every key can be typed, or set in the environment.
    """
    if _NOT_SETTABLE.search(key):
        return "must be UTF-8 text without control characters and without a byte order mark"
    if len(key) < MIN_KEY_LENGTH:
        return f"must have at least {MIN_KEY_LENGTH} characters; to make one: openssl rand -hex 32"
    return None


def _key(secret: object) -> object:
    """Refuse what can be no key, before pydantic, which would raise an error of its own for half a letter."""
    if isinstance(secret, str) and (fault := fault_of_key(secret)):
        raise ValueError(fault)
    return secret


def _parsed(text: str) -> Any:
    """Parse JSON; what is none becomes `None`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _keys(value: object) -> object:
    """Parse a JSON array of keys; like AUDIT_KEY, they are taken without surrounding white space."""
    if not isinstance(value, str):
        return value
    keys = _parsed(value)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError('must be a JSON array such as ["the first key", "the next key"], oldest first')
    return tuple(key.strip() for key in keys)


def _matching(pattern: re.Pattern[str], requirement: str) -> AfterValidator:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise ValueError(requirement)
        return value

    return AfterValidator(check)


def _http(value: str) -> str:
    """Check a base URL, and return it without its trailing slash."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if not usable or re.search(r"[^!-~]|[?#]", value):
        raise ValueError("must be an http:// or https:// URL without a query, a fragment or a password")
    return value.rstrip("/")


def _group_tokens(value: object) -> object:
    if not isinstance(value, str):
        return value
    tokens = _parsed(value)
    if not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
        raise ValueError('must be a JSON object such as {"group": "token"}')
    return {group: token.strip() for group, token in tokens.items()}


def _headers(value: object) -> object:
    """Parse `name=value,…`; in OTLP the values are percent-encoded."""
    pairs = [pair.partition("=") for pair in value.split(",")] if isinstance(value, str) else []
    return {name.strip(): unquote(secret.strip()) for name, _, secret in pairs} or value


_GroupKey = Annotated[str, _matching(GROUP_NAME, "must be a JSON object whose names are groups, such as payments")]
_Secret = Annotated[SecretStr, _token()]
_AuditKey = Annotated[SecretStr, BeforeValidator(_key)]
_Slug = Annotated[str, _matching(_ORGANIZATION, "must be the organization's slug, as `turso org list` prints it")]
_ChannelId = Annotated[str, _matching(_CHANNEL, "must be the id of a channel, such as C024BE91L, not its name")]


class DatabaseSettings(BaseSettings):
    """The settings of the commands that only need the database: migrate, allow, audit."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    database_url: Annotated[URL, NoDecode, BeforeValidator(parse_database_url), Field(repr=False, exclude=True)] = (
        URL.create("sqlite", database="turso-rotate.db")
    )
    audit_key: _AuditKey | None = None
    audit_keys_before: Annotated[tuple[_AuditKey, ...], NoDecode, BeforeValidator(_keys)] = ()
    slack_bot_token: Annotated[SecretStr, _token("xoxb-")] | None = None
    slack_api_url: Annotated[str, AfterValidator(_http), AfterValidator(lambda url: f"{url}/")] = (
        "https://slack.com/api/"
    )
    turso_organization: _Slug | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat | None = None

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Drop the newline that secrets from files often end with; a blank value counts as unset."""
        trimmed = {key: value.strip() if isinstance(value, str) else value for key, value in values.items()}
        return {key: value for key, value in trimmed.items() if value != ""}

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    def seal(self) -> Seal:
        """Return what computes the hashes of the audit trail, with the key if one is set."""
        return Seal(None if self.audit_key is None else self.audit_key.get_secret_value().encode())

    def earlier_seals(self) -> tuple[Seal, ...]:
        """Return the same for each key that the trail had before."""
        return tuple(Seal(key.get_secret_value().encode()) for key in self.audit_keys_before)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret in these settings, for redaction."""
        return tuple(secret for name in type(self).model_fields for secret in _secrets(getattr(self, name)))


class Settings(DatabaseSettings):
    """Everything that `serve` needs."""

    slack_bot_token: Annotated[SecretStr, _token("xoxb-")]
    slack_app_token: Annotated[SecretStr, _token("xapp-")] | None = None
    slack_signing_secret: Annotated[_Secret | None, Field(validate_default=True)] = None
    turso_organization: _Slug
    turso_api_token: _Secret | None = None
    turso_group_tokens: Annotated[
        Mapping[_GroupKey, _Secret], NoDecode, BeforeValidator(_group_tokens), Field(validate_default=True)
    ] = {}
    turso_api_url: Annotated[str, AfterValidator(_http)] = "https://api.turso.tech"
    turso_timeout: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 30
    confirm_ttl: Annotated[int, Field(ge=1, le=1500)] = 300
    audit_channel: _ChannelId | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(_http)] | None = None
    otel_exporter_otlp_headers: Annotated[Mapping[str, SecretStr], NoDecode, BeforeValidator(_headers)] = {}

    @field_validator("slack_signing_secret", mode="after")
    @classmethod
    def _require_transport(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("slack_app_token", ...) is None:
            raise ValueError("set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)")
        return value

    @field_validator("turso_group_tokens", mode="after")
    @classmethod
    def _require_turso_token(cls, value: Mapping[str, SecretStr], info: ValidationInfo) -> Mapping[str, SecretStr]:
        if not value and info.data.get("turso_api_token", ...) is None:
            raise ValueError("set TURSO_API_TOKEN or TURSO_GROUP_TOKENS")
        return value


AnySettings = TypeVar("AnySettings", bound=DatabaseSettings)


def load(kind: type[AnySettings], *, env_file: Path | None = Path(".env")) -> AnySettings:
    """Read settings from the environment, then from `env_file`.

    Raises `SettingsError` with one line for each setting that is missing or malformed, never with its value.
    """
    sources: dict[str, Any] = {"_env_file": env_file, "_env_file_encoding": "utf-8"}  # to mypy they look like settings
    try:
        return kind(**sources)
    except ValidationError as error:
        lines = [_describe(each) for each in error.errors(include_input=False, include_url=False)]
    except (OSError, UnicodeError):
        lines = [f"{env_file} cannot be read as UTF-8 text."]
    # Raised here so that not even its context holds the values.
    raise SettingsError("\n".join(dict.fromkeys(lines)))


def _describe(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is required."
    reason = error.get("ctx", {}).get("error", error["msg"])
    return f"{name}: {reason}."


def _secrets(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case Mapping():
            yield from _secrets(tuple(value.values()))
        case URL():
            yield from (str(found) for found in (value.password, *map(value.query.get, SECRET_PARAMETERS)) if found)
        case tuple():  # after the URL, which is one too
            for each in value:
                yield from _secrets(each)
        case _:
            return
