"""The domain: values, rules, errors, ports and use cases; it imports no framework, not even a logger."""
