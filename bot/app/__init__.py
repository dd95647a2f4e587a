"""The running bot: assemble it, run its background work, report its health."""
