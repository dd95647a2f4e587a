"""The commands with which people rotate keys at Turso, without the bot."""

from bot.domain.models import GroupName, Organization, Rotation
from bot.domain.names import GROUP_NAME

_TURSO = "https://api.turso.tech"


def commands(organization: Organization, group: GroupName) -> str:
    """Return two commands, one a line, of which either rotates the group."""
    return f"turso group tokens invalidate {group}\n{_curl(organization, f'groups/{group}')}"


def rotate_group(rotation: Rotation) -> str:
    """Return two commands, one a line, of which either rotates the group; empty if Turso said that there is none."""
    return "" if rotation.detail.get("group_missing") else commands(rotation.organization, rotation.group)


def rotate_databases(rotation: Rotation) -> tuple[str, int]:
    """Return a command that rotates the group's databases, empty if none is known, and how many it leaves out.

    It calls the API because Turso's command line refuses this for databases in a group, at least up to version 1.0.29.
    """
    databases = rotation.databases
    # They come from Turso's answer, and go into somebody's shell.
    names = [name for name in databases.names if GROUP_NAME.fullmatch(name)] if databases is not None else []
    if databases is None or not names:
        return "", 0
    loop = f"for db in {' '.join(names)}; do\n  {_curl(rotation.organization, 'databases/$db')}\ndone"
    return loop, databases.count - len(names)


def _curl(organization: Organization, key: str) -> str:
    url = f"{_TURSO}/v1/organizations/{organization}/{key}/auth/rotate"
    return f'curl -fX POST -H "Authorization: Bearer $TURSO_API_TOKEN" {url}'
