"""What may be the name of a group."""

import re

GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The whole of a group's name. Anything typed is hostile until it has matched."""
