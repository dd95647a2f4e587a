"""The audit trail as a chain of hashes: sealed, verified, explained and exported."""
