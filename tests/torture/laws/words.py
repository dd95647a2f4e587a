"""The words of the bot that the laws must know: actions, states, and what its sentences claim."""

import re

STATE_AFTER = {
    "rotation.requested": "requested",
    "rotation.started": "rotating",
    "rotation.succeeded": "succeeded",
    "rotation.failed": "failed",
    "rotation.unknown": "unknown",
    "rotation.cancelled": "cancelled",
    "rotation.expired": "expired",
    "rotation.superseded": "superseded",
}
"""The state that each action records; all other actions record none."""

MOVES = {
    None: {"requested"},
    "requested": {"rotating", "cancelled", "expired", "superseded"},
    "rotating": {"succeeded", "failed", "unknown"},
    "unknown": {"succeeded", "failed"},
}
"""The legal moves; from any other state there is none."""

CALLED = ("succeeded", "failed", "unknown")
"""The ends of what was confirmed."""
TOLD = (*CALLED, "cancelled", "expired")
"""The ends that the requester must be told of."""

CARD_SAYS = {
    "Done: the tokens of ": "succeeded",
    "Failed: the tokens of ": "failed",
    "Unknown: the tokens of ": "unknown",
    "Judged: the tokens of ": "unknown",
    ":no_entry_sign: Cancelled.": "cancelled",
    ":alarm_clock: The request to rotate ": "expired",
    ":arrows_counterclockwise: Nothing was done: the request ": "superseded",
}
"""How a card, or a message in its place, begins, and which state that claims."""
JUDGEMENT = ":scales: "
"""How a person's judgement of an unknown is announced; it may come before the unknown is, and then stands for both."""
CHANNEL_SAYS = {":white_check_mark: ": "succeeded", ":x: ": "failed", ":warning: ": "unknown", JUDGEMENT: "unknown"}
"""The same of an announcement."""

NOT_SAVED = "The outcome could not be saved yet."
"""What a card says of an outcome that counts as unknown until the database takes it."""
BUG = "Traceback (most recent call last)"
"""What only a bug writes into the log."""

_MASKED = re.compile(r"\A:warning: \*You typed something that looks like a token\.\*[^\n]*\n")


def card_claims(text: str) -> str | None:
    """Return the state that a message to one person claims, if any."""
    text = _MASKED.sub("", text)
    return next((state for words, state in CARD_SAYS.items() if text.startswith(words)), None)


def channel_claims(text: str) -> str | None:
    """Return the state that an announcement claims, if any."""
    return next((state for words, state in CHANNEL_SAYS.items() if text.startswith(words)), None)
