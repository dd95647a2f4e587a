"""How long the database may keep callers waiting, and until when the current transaction may wait for it."""

from contextvars import ContextVar

TRANSACTION_SECONDS = 2.5
"""How long a caller waits for a transaction before it fails."""
LOCK_SECONDS = 1.0
"""How long the database waits for a lock in such a transaction."""
QUEUE_SECONDS = TRANSACTION_SECONDS - LOCK_SECONDS
"""How long a transaction may wait for a thread: one that starts by then still has time to wait for a lock."""
LONG_LOCK_SECONDS = 30
"""How long the database waits for a lock where a command may take its time, such as a migration."""

deadline: ContextVar[float] = ContextVar("deadline")
"""When the transaction in this thread must be over, by the monotonic clock."""
