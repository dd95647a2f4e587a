"""The check-up: look at everything the bot depends on, and change nothing."""
