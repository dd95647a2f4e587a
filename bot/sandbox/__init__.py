"""A local Slack workspace and a local Turso organization, served over HTTP on 127.0.0.1, to try the bot against."""
