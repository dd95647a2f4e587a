"""What people type, press and see in Slack, and the transport below it."""
