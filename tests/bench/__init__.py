"""Measure the bot side by side with other programs that do comparable work: `python -m tests.bench`."""
