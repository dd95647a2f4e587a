"""Rotate the tokens of a Turso group from Slack, with a record an auditor can trust."""

from importlib.metadata import version

__version__ = version("turso-rotate")
