"""The Slack side: commands, messages, listeners, and the two ways in (HTTP and Socket Mode)."""
