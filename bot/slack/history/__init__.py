"""`/turso-audit`: pages of history, and the details of a rotation."""
