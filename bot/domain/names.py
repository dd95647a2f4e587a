"""What may be the name of a group, and what the ids of rotations and of Slack look like."""

import re

GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The whole of a group's name. Anything typed is hostile until it has matched."""

EXPLICIT = "group:"
"""In front of a word, it says that the word is the name of a group, whatever it looks like."""

ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""What the id of a rotation consists of: nothing that is easily confused."""
ROTATION_ID = re.compile(rf"[{ID_LETTERS}]{{13}}")

SLACK_ID = re.compile(r"[A-Z][A-Z0-9]{2,40}")
"""An id of Slack's of any kind; the first letter says which."""
USER_ID = re.compile(r"[UW][A-Z0-9]{2,40}")
TEAM_ID = re.compile(r"T[A-Z0-9]{2,40}")
ENTERPRISE_ID = re.compile(r"E[A-Z0-9]{2,40}")
"""A whole organization in Enterprise Grid."""
CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{2,40}")
"""A channel, public or private, or a direct message (`D`)."""
