"""Check everything the bot depends on, and change nothing."""
