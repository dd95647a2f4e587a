"""The audit trail as a chain of hashes: how rows are sealed, verified, diagnosed and exported."""
