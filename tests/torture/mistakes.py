"""Start the bot with a planted mistake, to show that torture finds it: `python -m tests.torture.mistakes NAME`."""

import sys
from collections.abc import Callable, Mapping

MISTAKES: Mapping[str, Callable[[], None]] = {}
