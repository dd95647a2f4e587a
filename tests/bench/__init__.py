"""Measure the bot side by side with what people would use instead; `python -m tests.bench`."""
