"""Recognise what looks like a secret: by the shapes of known tokens, by the name in front, and by randomness."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from bot.domain.text import is_invisible

REDACTED = "[redacted]"

VALUE = r"[^\s\"'\\<>,;&|)}\]]"
"""One character of a secret in a URL, a form or JSON."""
NAMES = r"(?:(?:access|api|app|auth|bot|refresh)_?)?token|(?:client_|signing_)?secret|authorization|cookie|jwt|password"
"""Names whose values are secrets."""

# Where a word begins; also after an escape such as `\n` or `%3D`, because a log line may quote what is escaped.
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\x[0-9A-Fa-f]{2}))"
_TOKENS = {
    "xox": r"xox[a-z](?:\.xox[a-z])?-[\w.%+/=-]+",
    "xapp-": r"xapp-\d+-[\w.-]+",
    "xwfp-": r"xwfp-[\w.-]+",
    "eyj": r"eyJ(?=[\w+/-]{0,80}(?-i:[A-Z0-9]))[\w+/-]{4,}=*(?:\.[\w+/=-]*)*",
    "gh": r"gh[oprsu]_(?:(?=[A-Z]*\d)[A-Z0-9]{10,}|[A-Z0-9]{20,})",
    "github_pat_": r"github_pat_\w{10,}",
    "gl": r"gl(?:pat|agent|cbt|dt|ffct|ft|imt|oas|ptt|rt|sa|soat)[-_][\w.-]{8,}",
    "akia": r"(?-i:AKIA[A-Z0-9]{12,})|AKIA(?=[A-Z]*\d)[A-Z0-9]{16}",
    "asia": r"(?-i:ASIA[A-Z0-9]{12,})",
    "aiza": r"AIza[\w-]{20,}",
    "ya29.": r"ya29\.[\w-]{10,}",
    "gocspx-": r"GOCSPX-[\w-]{10,}",
    "k_": r"[prs]k_(?:live|test)_\w{8,}",
    "whsec_": r"whsec_[\w+/=-]{8,}",
    "shp": r"shp[a-z]{2}_[0-9a-f]{20,}",
    "sq0": r"sq0[a-z]{3}-[\w-]{16,}",
    "sk-": r"sk-(?:(?:[A-Z0-9]+-){0,3}[A-Z0-9]{20,}[\w-]*|(?=[\w-]{0,80}(?-i:[A-Z]))(?=[\w-]{0,80}\d)[\w-]{16,})",
    "npm_": r"npm_[A-Z0-9]{16,}",
    "pypi-": r"pypi-AgE[\w-]{16,}",
    "hf_": r"hf_[A-Z0-9]{20,}",
    "_v1_": r"do[opr]_v1_\w{20,}",
    "dapi": r"dapi[0-9a-f]{32}",
    "tskey-": r"tskey-[\w-]{16,}",
    "sg.": r"SG\.[\w-]{16,}\.[\w-]{16,}",
    "atatt3": r"ATATT3[\w=-]{16,}",
    "hv": r"hv[bsr]\.[\w-]{20,}",
    "lin_api_": r"lin_api_\w{16,}",
    "secret_": r"secret_[A-Z0-9]{20,}",
    "sbp_": r"sbp_[0-9a-f]{40}",
    "bkua_": r"bkua_[0-9a-f]{40}",
    "hrku-": r"HRKU-[\w-]{36,}",
    "pscale_": r"pscale_[a-z]+_[\w.-]{16,}",
    "age-secret-key": r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    ":aa": r"\d{8,10}:AA[\w-]{33}(?![\w-])",
    "private key": r"-{0,5}BEGIN [A-Z ]{0,30}PRIVATE KEY(?s:.*?)(?:END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-{0,5}|\Z)",
}
_SLASH = "(?:/|%2F)"
_ADDRESS = rf"(?:https?(?::|%3A){_SLASH}{{2}})?"
_BEARER = "bearer"
SHAPES: Mapping[str, re.Pattern[str]] = {
    hint: re.compile(shape, re.IGNORECASE)
    for hint, shape in {
        **{hint: rf"{_START}(?P<secret>{token})" for hint, token in _TOKENS.items()},
        "hooks.": rf"(?P<secret>{_ADDRESS}hooks\.(?:slack|zapier)[\w.-]*{_SLASH}{VALUE}+)",
        "discord": rf"(?P<secret>{_ADDRESS}discord(?:app)?\.com{_SLASH}api{_SLASH}webhooks{_SLASH}{VALUE}+)",
        "hook": rf"hook\w*(?:\.[\w.-]+)?{_SLASH}(?P<secret>[0-9a-f-]{{32}}{VALUE}*)",
        "authorization": r"\bauthorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token)(?:\s+|%20|\+)"
        rf"(?P<secret>(?!\[redacted){VALUE}+)",
        "://": r"://[^\s/:@\"'\\]{0,255}:(?P<secret>(?!\[redacted|\d{1,5}[/?#])[^\s\"'\\]{1,255})@",
        _BEARER: rf"\bbearer(?:\s+|%20|\+)(?P<secret>(?!\[redacted){VALUE}{{4,}})",
    }.items()
}
"""What tokens look like wherever they stand. The group `secret` is what to hide; the key is in each, in small letters.

The key is there for speed: most text has none of them.
"""

# In what people type, a value ends at a blank or a quote: a password may hold anything else.
_END_OF_WORD = re.compile(r"[^\s\"'`<>|]*")
_TYPED_VALUE = r"(?:(?:basic|bearer|digest|token)\s+)?(?:\"(?P<quoted>[^\"]+)\"|[\"'`]?(?P<secret>[^\s\"'`<>|]+))"
_KEY = r"(?:access|api|account|private|secret|signing)[ _-]?key"
_STRONG = rf"(?:{NAMES}|{_KEY}|passwd|(?<![a-z])(?:pass|passphrase|pwd))s?[\"'`]?\s*"
_WEAK = r"(?<![a-z])(?:key|credential|pw|sig|signature)s?[\"'`]?\s*"
_ASSIGNED = re.compile(rf"{_STRONG}:?={{1,2}}>?\s*(?!\[redacted){_TYPED_VALUE}", re.IGNORECASE)
_NAMED = re.compile(rf"(?:{_STRONG}|{_WEAK})[:=]>?\s*{_TYPED_VALUE}", re.IGNORECASE)
_PASSWORD = re.compile(
    r"(?:passwords?|passwd|passphrase|(?<![a-z])pwd)[\"'`]?\s*:\s*(?!(?:changed|compromised|expired|exposed|found|has|in|is|"
    rf"known|leaked|new|not|old|reset|revoked|rotated|see|seen|sent|shared|stolen|the|unknown|was)\b){_TYPED_VALUE}",
    re.IGNORECASE,
)
"""A password may be a plain word, unless it is one with which a sentence goes on."""
_NAMED_HASH = re.compile(rf"(?:{NAMES}|key)s?\s+(?:is\s+|was\s+)?[\"'`]?(?P<secret>[0-9a-f]{{40}})\b", re.IGNORECASE)

_RUN = re.compile(r"(?:[A-Za-z0-9+/_=-]|%2[BF]|%3D){20,}", re.IGNORECASE)
_SEPARATORS = re.compile(r"[+/_=-]+")
_LONG_PART, _SHORT_PART, _LONG_WORD = 6, 3, 15
_AWS_SECRET = re.compile(r"(?<![\w+/-])[A-Za-z0-9+/]{40}(?![\w+/-])")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
# The path and the fragment of a link end with ids that look random: a document's, a message's, a commit's. They stay,
# except where links have secrets.
_PAGE = re.compile(r"https?://[^\s/?#<>|\"']+(/[^\s?#<>|\"']*)?(?:\?[^\s#<>|\"']*)?(#[^\s<>|\"']*)?", re.IGNORECASE)
_LEADS_TO_SECRET = re.compile(
    r"(?<=[/.])(?:[\w-]*hook\w*(?=[/.])|(?:services|[\w-]*(?:token|secret|key)s?)(?=/))", re.IGNORECASE
)
_SEGMENT = re.compile(r"[^/]+")
_VALUE_IN_FRAGMENT = re.compile(r"(?<=\w=)[\w.~%+/=-]+")
_COMMIT_ULID_OR_UUID = re.compile(
    r"(?<![0-9a-z_])(?:[0-9a-f]{40}|01[0-9a-hjkmnp-tv-z]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-z])",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(?<=sha256:)[0-9a-f]{64}\b|\b\d{1,12}:[0-9a-f]{64}\b|(?i:\bgroup:)[\w-]{1,64}(?!\w)")
"""The digest of an image, a head of the audit trail, or what somebody says is the name of a group."""


def hide(text: str) -> str:
    """Replace what looks like a token, in text of any origin."""
    for _, shape in _possible(text):
        text = shape.sub(_hidden, text)
    return text


def mask(text: str) -> str:
    """Replace what looks like a secret, in text that somebody typed.

    Call this before anything else is done with the text, because half a token no longer looks like one. It masks rather
    too much than too little, but ids of tickets, UUIDs, hashes of commits and links to pages stay.
    """
    plain, places = _plain(text)
    parts, done = [], 0
    for first, last in _merged(_secrets(plain)):
        parts += [text[done : places[first]], REDACTED]
        done = places[last - 1] + 1
    return "".join((*parts, text[done:]))


def _possible(text: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    small = text.lower()
    return ((hint, shape) for hint, shape in SHAPES.items() if hint in small)


def _hidden(match: re.Match[str]) -> str:
    first, last = (place - match.start() for place in match.span("secret"))
    return match[0][:first] + REDACTED + match[0][last:]


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """Return the text without what is invisible and in ASCII where it only looks different; and the place of each."""
    if text.isascii() and text.isprintable():
        return text, range(len(text))
    kept = [(seen, place) for place, each in enumerate(text) for seen in _seen(each)]
    return "".join(seen for seen, _ in kept), [place for _, place in kept]


def _seen(character: str) -> str:
    kind, same = unicodedata.category(character), unicodedata.normalize("NFKC", character)
    if kind in {"Cf", "Me", "Mn"} or (kind == "Cc" and not character.isspace()) or is_invisible(character):
        return ""
    return "-" if kind == "Pd" else same


def _secrets(text: str) -> Iterator[tuple[int, int]]:
    """Find the places of secrets, in no order."""
    certain = (shape for hint, shape in _possible(text) if hint != _BEARER)
    for shape in (*certain, _ASSIGNED, _PASSWORD, _NAMED_HASH):
        yield from map(_span, shape.finditer(text))
    for shape in (SHAPES[_BEARER], _NAMED):
        yield from (span for span in map(_span, shape.finditer(text)) if not _is_ordinary(text[slice(*span)]))
    kept = [match.span() for match in _NO_SECRET.finditer(text)]
    for page in _PAGE.finditer(text):
        kept += [page.span(1), page.span(2)]
        yield from (
            part.span()
            for part in _where_secrets_are(page)
            if any(_is_random(run[0]) for run in _RUN.finditer(part[0]))
        )
    for run in _RUN.finditer(text):
        if _is_random(run[0]) and not any(first < run.end() <= last for first, last in kept):
            yield run.span()


def _where_secrets_are(page: re.Match[str]) -> Iterator[re.Match[str]]:
    """Find the parts of a link that may be secret: what follows such a word in the path, and values in the fragment."""
    path_ends = max(page.end(1), page.start())
    if word := _LEADS_TO_SECRET.search(page.string, page.start(), path_ends):
        yield from _SEGMENT.finditer(page.string, word.end(), path_ends)
    if page[2]:
        yield from _VALUE_IN_FRAGMENT.finditer(page.string, *page.span(2))


def _span(match: re.Match[str]) -> tuple[int, int]:
    """Return where the secret begins and where the word ends that it is in."""
    named = match.groupdict()
    if named.get("quoted") is not None:
        return match.span("quoted")
    first, last = match.span("secret")
    end = _END_OF_WORD.match(match.string, last)
    return first, end.end() if end else last


def _is_ordinary(value: str) -> bool:
    """Return whether a value consists of words and numbers: a sentence may go on like this after `token:`."""
    if value.startswith(("http://", "https://", REDACTED[:-1])) or re.fullmatch(r"[\dTZ:./+-]+", value):
        return True
    return all(
        len(part) <= _SHORT_PART or part.isdigit() or (len(part) <= _LONG_WORD and _WORD.fullmatch(part))
        for part in re.split(r"[\W_]", value)
    )


def _is_random(run: str) -> bool:
    """Return whether a run of letters and digits, with separators, is no name but random."""
    run = unquote(run)
    if any(not _in_one_case(key) and _has_words(key, 0.3) for key in _AWS_SECRET.findall(run)):
        return True
    parts = [part for part in _SEPARATORS.split(_COMMIT_ULID_OR_UUID.sub("", run)) if part]
    several = "".join(part for part in parts if not _WORD.fullmatch(part))
    whole = "".join(parts)
    return any(map(_is_jumbled, parts)) or (
        len(whole) >= _LONG_PART * len(parts) and not _in_one_case(several) and _is_jumbled(whole)
    )


def _is_jumbled(text: str) -> bool:
    """Return whether a long text has more and shorter words than names have.

    A word is a number, or letters in one case of which the first may be a capital. A random text has a word for every
    two letters, or for every two and a half if it is in one case; CamelCase has one for every four, other names less.
    """
    least, share = (24, 0.17) if _in_one_case(text) else (20, 0.34)
    return len(text) >= least and _has_words(text, share)


def _has_words(text: str, share: float) -> bool:
    return len(_WORD.findall(text)) >= share * len(text)


def _in_one_case(text: str) -> bool:
    return text in {text.lower(), text.upper()}


def _merged(spans: Iterable[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """Return the same places in order, without overlaps."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged
