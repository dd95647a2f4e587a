"""A Slack workspace and a Turso organization on 127.0.0.1, over real HTTP, to try the bot against."""
