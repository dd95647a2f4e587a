"""What people would use instead of a bot of their own: each an echo, in an environment of its own."""
