"""The programs that the bot is compared with, each run in a process of its own."""
