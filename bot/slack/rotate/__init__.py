"""`/turso-rotate`: the command, its card, and how a request ended."""
