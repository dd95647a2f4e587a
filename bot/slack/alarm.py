"""What the channel is told when something is wrong that concerns no single rotation."""

from bot.slack.blocks import Message, code, message


def unguarded(guards: str) -> Message:
    """Tell the channel that the database no longer protects its history; `guards` are the names of what is broken."""
    return message(
        ":rotating_light: *The database of the audit trail no longer protects its history.* These guards "
        f"(triggers, indexes, functions) are missing, disabled, changed or added: {code(guards)}\n"
        "I start no rotation until they are restored. What is running is still recorded.\n"
        f"*Next:* find out who did that, run {code('turso-rotate audit verify')}, and restore them. If a leak cannot "
        f"wait, close it by hand ({code('turso group tokens invalidate GROUP')}) and record it afterwards "
        f"({code('turso-rotate audit note GROUP')})."
    )
