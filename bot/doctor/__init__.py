"""Look at everything the bot depends on, change nothing, and say what is wrong and what mends it."""
