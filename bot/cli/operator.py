"""Find out who runs a command, for the record."""

import os
import pwd

from bot.domain.models import Actor


def operator() -> Actor:
    """Return the account that the process runs under; variables like `USER` can be set to anything."""
    try:
        return Actor.on_terminal(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container may run under a number that has no name
        return Actor.on_terminal(f"uid{os.getuid()}")
