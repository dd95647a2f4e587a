"""How long a claim holds, by clocks that go on while the process or the machine stands still."""

import time
from collections.abc import Callable, Sequence

PREPARATION_SECONDS = 5.0
"""How long it may take from the start of the claim to the call."""
RECORDING_SECONDS = 10.0
"""How long it may take to record the outcome."""

Clock = Callable[[], float]
"""Returns seconds since some fixed moment."""


def _boot_time() -> float:
    """Return the time since the machine started, including the time that it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


CLOCKS: tuple[Clock, ...] = (_boot_time if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic, time.time)
"""The wall clock is among them because a virtual machine's other clocks stand still with it."""


class LeaseSpent(Exception):
    """What is left of a lease does not cover the call any more: another replica may have given the claim up."""


class Lease:
    """The time for which a claim is this process's; it begins now, which must be before the claim is made."""

    def __init__(self, call_seconds: float, clocks: Sequence[Clock] = CLOCKS) -> None:
        self.seconds = PREPARATION_SECONDS + call_seconds + RECORDING_SECONDS
        self._began = [(clock, clock()) for clock in clocks]

    def left(self) -> float:
        """Return how many seconds are left by the clock that went furthest; negative if it is over."""
        return self.seconds - max(clock() - began for clock, began in self._began)

    def require(self, seconds: float) -> None:
        """Check that so many seconds are left. Raises `LeaseSpent`."""
        if self.left() < seconds:
            raise LeaseSpent
