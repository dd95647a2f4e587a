"""Turso's Platform API: the client, its transport, and what an answer means."""
