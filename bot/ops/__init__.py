"""What operators see: logs, metrics and traces; and the tasks that are supervised."""
