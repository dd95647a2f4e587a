"""What looks like a token is masked in whatever it is wrapped, and what people write every day is not."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.secrets import REDACTED, hide, mask
from tests.tokens import TOKENS, pieces

WRAPPINGS = {
    "alone": "{}",
    "in a sentence": "leaked {} in CI, see OPS-12",
    "in quotes": '"{}"',
    "in smart quotes": "\u201c{}\u201d",
    "in backticks": "`{}`",
    "in brackets": "(leaked: {}).",
    "named": "TURSO_TOKEN={}",
    "in a link": "<https://x.example/?q={0}|{0}>",
    "after a colon": "token:{}",
    "at the end of a long text": "x " * 2000 + "{}",
}
ORDINARY = """
key leaked: in CI log
see OPS-1234, INC-20241124 and #4711
https://acme.atlassian.net/browse/OPS-123?focusedCommentId=123456&page=com.atlassian.jira.plugin.issuetabpanels
https://github.com/acme/app/commit/3f786850e387550fdab836ed7e6dc881de23001b
https://github.com/acme/app/pull/5/files#diff-5d41402abc4b2a76b9719d911017c592ae1f5b7d0f0c5c8f9d3a6c1e2b7a9f10
https://acme.slack.com/archives/C024BE7LH/p1732430523123456?thread_ts=1732430523.123456&cid=C024BE7LH
https://docs.google.com/document/d/1aBcD3fGh1JkLmN0pQrStUvWxYz1234567890AbCd/edit?usp=sharing
https://www.notion.so/acme/Incident-8f14e45fceea167a5a36dedd4bea2543
https://jira.acme.example:8443/browse/OPS-1?assignee=bob@acme.example
commit 3f786850e387550fdab836ed7e6dc881de23001b and 3f78685
550e8400-e29b-41d4-a716-446655440000
01HXYZ3NDEKTSV4RRFFQ69G5FA
https://github.com/acme/webhooks/commit/3f786850e387550fdab836ed7e6dc881de23001b
https://github.com/acme/token-service/blob/main/src/PaymentsServiceTokenRotatedInProductionTest.java#L10-L20
https://acme.atlassian.net/wiki/spaces/KEY/pages/123456789/Rotating+Webhook+Secrets+In+Production+2026
https://gitlab.com/acme/secrets/-/issues/12#note_1234567890
https://acme.slack.com/services/B024BE7LH
https://console.example/keys/550e8400-e29b-41d4-a716-446655440000
https://docs.google.com/spreadsheets/d/1aBcD3fGh1JkLmN0pQrStUvWxYz1234567890AbCd/edit#gid=1234567890
https://kibana.example/app/discover#/?_a=(index:'550e8400-e29b-41d4-a716-446655440000',sort:!(!('@timestamp',desc)))
https://console.aws.example/logs#group=/aws/lambda/pay;stream=2026/11/03/[$LATEST]8f14e45fceea167a5a36dedd4bea2543
https://ci.example/job/Payments-Deploy-To-Production-EU/47#run=Payments-Deploy-To-Production-EU-47
INCIDENT-2026-11-03-database-credentials
https://acme.example/2026/11/03/Incident-42/RootCauseAnalysisV2Final?run=RootCauseAnalysisV2Final
see Tenant-550e8400-e29b-41d4-a716-446655440000 and OPS-1234-sg-0f3a9c81be27d4506
Services/Payments/v2/handlers/webhook/Go
rotation 62xrejy87vfv9 failed
anchor 1204:5d41402abc4b2a76b9719d911017c592ae1f5b7d0f0c5c8f9d3a6c1e2b7a9f10
sha256:5d41402abc4b2a76b9719d911017c592ae1f5b7d0f0c5c8f9d3a6c1e2b7a9f10
the bearer token was leaked
bearer tokens, leaked
token: leaked in CI log
the secret: see OPS-12
password: rotated
api key: expired
access token: revoked, see PAY-77
keys: see https://wiki.example/page
SLACK_BOT_TOKEN in the log of build #1234567
monkey=banana
2026-11-24T03:00:00.123456Z
12345678901234567890
/home/alice/src/acme/payments/internal/handlers/webhook_v2.go:123
arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/payments-db
bob@example.com left the company
postgresql://db.example:5432/bot
PaymentsServiceTokenLeakedInContinuousIntegration
""".strip().splitlines()
LINKS = [
    "https://example.com/hook/{}", "https://example.com/api/Webhooks/1234567890/{}?wait=true",
    "https://example.com/services/T012AB3CD/B012AB3CD/{}", "https://example.com/v1/token/{}/refresh",
    "https://example.com/secret/{}).", "https://example.com/trigger/page/with/key/{}", "https://hook.eu1.example.com/{}",
    "https://acme.webhook.example.com/webhookb2/1/IncomingWebhook/{}", "<https://example.com/api-keys/{}|the key>",
    "https://example.com/#access={}", "https://example.com/cb#state=1&access_token={}&expires_in=3600",
    "https://example.com/#/login?code={}", "https://example.com/docs/#token={},", "https://{}@git.example.com/acme/app",
]  # fmt: skip
NAMES = [
    "prod-eu-west-1-payments-cluster-2024", "payments_production_database_group_number_2", "foxapp-prod-eu",
    "eyal-prod-cluster", "asiapacificcluster-prod", "sk-prod-eu-west-1-payments-db", "glass-payments-production",
    "ghost_production_eu", "xapp-prod", "task-force-one-two-three-four-five",
    "tenant-550e8400-e29b-41d4-a716-446655440000", "npm_registry_cache",
    "group:tenant-8f14e45fceea167a5a36dedd4bea2543", "Team-Checkout-Prod-2024-eu-west-1-abcdef",
    "Payments_DB_v2_Prod_EU_West_1_Replica_03", "us-east-1-AbCdEf-Prod-DB-2024-Team-XY-Z1",
    "ProdEuWest1PaymentsClusterBlueGreen2024", "ProdDbEu1FailoverNode3", "OPSTeamOnCallRotaWeek47",
    "INC-550e8400-e29b-41d4-a716-446655440000-Payments", "Payments-7d9f8b6c5d-x2x9k-Replica",
]  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.fault("F64")
def test_a_token_is_masked_in_whatever_it_is_wrapped(kind: str, wrapping: str) -> None:
    text, secret = TOKENS[kind]
    masked = mask(WRAPPINGS[wrapping].format(text))

    assert REDACTED in masked
    assert not [piece for piece in pieces(secret) if piece in masked]


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u200d", "\ufe0f", "\x00", "\u0335"])
@pytest.mark.fault("F64")
def test_nothing_invisible_hides_a_token(kind: str, hidden: str) -> None:
    text, secret = TOKENS[kind]
    masked = mask("leaked " + hidden.join(text[at : at + 3] for at in range(0, len(text), 3)))

    assert not [piece for piece in pieces(secret) if piece in masked.replace(hidden, "")]


@pytest.mark.parametrize("kind", ["slack bot", "slack app", "github", "google", "stripe", "npm", "jwt", "gitlab"])
@pytest.mark.fault("F64")
def test_a_phone_that_changes_letters_and_dashes_hides_no_token(kind: str) -> None:
    text, secret = TOKENS[kind]
    for changed in (text.capitalize()[:1] + text[1:], text[:4].upper() + text[4:], text.replace("-", "\u2013")):
        assert not [piece for piece in pieces(secret)[1:] if piece in mask(changed)], changed


@pytest.mark.parametrize("text", [*ORDINARY, *NAMES])
@pytest.mark.fault("F64")
def test_what_people_write_every_day_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("kind", ["aws secret", "base64", "signing secret", "random letters"])
@pytest.mark.fault("F64")
def test_a_secret_in_a_link_is_masked_where_links_have_secrets(kind: str, link: str) -> None:
    secret = TOKENS[kind][0]
    for written in {secret.replace("/", "_").replace("+", "-"), quote(secret, safe="")}:
        masked = mask(f"leaked {link.format(written)} in CI")

        assert masked.startswith("leaked ")
        assert masked.endswith(" in CI")
        assert not [piece for piece in pieces(written) if piece in masked]


@pytest.mark.parametrize(
    "identifier", ["550e8400-e29b-41d4-a716-446655440000", "3f786850e387550fdab836ed7e6dc881de23001b"]
)
@pytest.mark.parametrize(
    "link", ["https://n8n.example/webhook/{}", "https://webhook.example/{}", "example.com/hooks/{}"]
)
@pytest.mark.fault("F64")
def test_the_id_of_a_hook_is_a_secret_of_whatever_kind(link: str, identifier: str) -> None:
    assert mask(link.format(identifier)) == link.format(REDACTED)


@pytest.mark.parametrize("place", ["{}", "aws={}", "leaked: {}, see OPS-12"])
@pytest.mark.fault("F64")
def test_an_aws_key_is_masked_although_words_stand_in_it(place: str) -> None:
    example = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"

    assert REDACTED in mask(place.format(example))
    assert not [piece for piece in pieces(example) if piece in mask(place.format(example))]


@given(st.lists(st.sampled_from([*ORDINARY, *(text for text, _ in TOKENS.values()), "\u200b", "=", ":"])).map(" ".join))
@pytest.mark.fault("F64")
def test_masking_twice_changes_nothing(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text())
def test_text_without_a_token_stays_to_the_letter(text: str) -> None:
    assert mask(text) == text or REDACTED in mask(text)


@pytest.mark.parametrize("kind", [kind for kind, (text, secret) in TOKENS.items() if text == secret])
def test_logs_know_the_same_shapes(kind: str) -> None:
    _, secret = TOKENS[kind]
    random_alone = kind in {"aws secret", "hex", "signing secret", "base64", "base64 of 64 bytes", "random letters"}

    assert (hide(f"leaked {secret}") == f"leaked {secret}") == random_alone


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("password: hunter2", "password: "),
        ("leaked, password: swordfish", "leaked, password: "),
        ("secret: Abc12345", "secret: "),
        ("api_key: k3yv4lu3abc", "api_key: "),
        (f"sbp_{'0123456789abcdef' * 2}01234567", ""),
        (f"bkua_{'0123456789abcdef' * 2}01234567", ""),
        ("HRKU-550e8400-e29b-41d4-a716-446655440000", ""),
    ],
)
@pytest.mark.fault("F64")
def test_a_short_secret_with_its_name_and_an_id_with_a_tokens_prefix_are_masked(typed: str, kept: str) -> None:
    assert mask(typed) == f"{kept}{REDACTED}"
