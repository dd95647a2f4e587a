"""Say who runs a command, for the record."""

import os
import pwd

from bot.domain.models import Actor


def operator() -> Actor:
    """Name the account of the process, as the variables that name a user can be set to anything."""
    try:
        return Actor.on_terminal(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container may run under a number that has no name
        return Actor.on_terminal(f"uid{os.getuid()}")
