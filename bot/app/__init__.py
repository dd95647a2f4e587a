"""The running bot: put together, kept tidy, and asked whether it is healthy."""
