"""Tokens of every kind that people paste by mistake, put together here so that no scanner finds one in the file."""

import base64
import random
import string

ALNUM = string.ascii_letters + string.digits
_RANDOM = random.Random(61)  # noqa: S311 - the same in every run


def made_up(size: int, letters: str = ALNUM) -> str:
    """Make up the random part of a token."""
    return "".join(_RANDOM.choices(letters, k=size))


def encoded(size: int) -> str:
    """Make up random bytes in Base64."""
    return base64.b64encode(_RANDOM.randbytes(size)).decode()


HEX = "0123456789abcdef"
JWT = f"eyJhbGciOiJFZERTQSJ9.eyJhIjoicncifQ.{made_up(86, ALNUM + '-_')}"
BODY = "\n".join(encoded(48) for _ in range(4))
_PLAIN = {
    "jwt": JWT,
    "half a jwt": JWT[:40],
    "slack bot": f"xoxb-{made_up(12, string.digits)}-{made_up(13, string.digits)}-{made_up(24)}",
    "slack user": f"xoxp-{made_up(12, string.digits)}-{made_up(12, string.digits)}-{made_up(32, HEX)}",
    "slack refresh": f"xoxe.xoxp-1-{made_up(100)}",
    "slack cookie": f"xoxd-{made_up(40)}%2F{made_up(20)}%3D",
    "slack app": f"xapp-1-A{made_up(10)}-{made_up(13, string.digits)}-{made_up(64, HEX)}",
    "github": f"ghp_{made_up(36)}",
    "github app": f"ghs_{made_up(36)}",
    "github oauth": f"gho_{made_up(36)}",
    "github fine-grained": f"github_pat_{made_up(22)}_{made_up(59)}",
    "gitlab": f"glpat-{made_up(20, ALNUM + '-_')}",
    "aws": f"AKIA{made_up(16, string.ascii_uppercase + '234567')}",
    "aws secret": encoded(30),
    "google": f"AIza{made_up(35, ALNUM + '-_')}",
    "stripe": f"sk_live_{made_up(24)}",
    "stripe restricted": f"rk_live_{made_up(24)}",
    "webhook secret": f"whsec_{encoded(24)}",
    "npm": f"npm_{made_up(36)}",
    "openai": f"sk-{made_up(20)}T3BlbkFJ{made_up(20)}",
    "openai project": f"sk-proj-{made_up(74, ALNUM + '-_')}",
    "anthropic": f"sk-ant-api03-{made_up(93, ALNUM + '-_')}",
    "hex": made_up(64, HEX),
    "signing secret": made_up(32, HEX),
    "base64": encoded(32),
    "base64 of 64 bytes": encoded(64),
    "random letters": made_up(32),
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----",
    "private key without its end": f"-----BEGIN PRIVATE KEY-----\n{BODY}",
}
_PASSWORD = made_up(12)
TOKENS = {kind: (token, token) for kind, token in _PLAIN.items()} | {
    "libsql": (f"libsql://ledger-acme.turso.io?authToken={JWT}", JWT),
    "libsql, no jwt": (f"libsql://ledger-acme.turso.io?authToken={_PASSWORD}", _PASSWORD),
    "slack webhook": (f"https://hooks.slack.com/services/T0{_PASSWORD}/B0/{_PASSWORD}", _PASSWORD),
    "password in a URL": (f"postgresql://bot:{_PASSWORD}@db.example/bot", _PASSWORD),
    "bearer": (f"Bearer {_PASSWORD}", _PASSWORD),
    "a header": (f"Authorization: Basic {_PASSWORD}==", _PASSWORD),
    "named": (f"token={_PASSWORD}", _PASSWORD),
    "named with a blank": (f"api key: {_PASSWORD}", _PASSWORD),
    "named in JSON": (f'{{"api_key": "{_PASSWORD}"}}', _PASSWORD),
}
"""Made-up tokens by their kind: what somebody types, and what of it is secret."""


def pieces(secret: str) -> list[str]:
    """Return the pieces of a secret by which somebody would recognise it."""
    return [secret[at : at + 8] for at in range(0, len(secret) - 7, 4)]
