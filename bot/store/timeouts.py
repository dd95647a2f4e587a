"""How long the database may keep anybody waiting, and until when the work at hand may wait for it."""

from contextvars import ContextVar

WAIT_SECONDS = 2.5
"""How long anybody waits for a transaction before being told that the database does not answer."""
LOCK_SECONDS = 1.0
"""How long the database itself waits for a lock."""
TURN_SECONDS = WAIT_SECONDS - LOCK_SECONDS
"""How long anybody waits for a thread: what begins then can still wait for a lock."""

deadline: ContextVar[float] = ContextVar("deadline")
"""When the transaction in this thread is over, done or not; by the monotonic clock."""
