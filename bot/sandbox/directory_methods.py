"""Web API methods that tell of the team, its people and its channels."""

from typing import Any

from bot.sandbox.methods import Answer, Arguments, Method, Methods, SaysNoError
from bot.sandbox.workspace import BOT_USER, Person, Workspace

BOT_ID = "B0BOT"


class DirectoryMethods:
    """`auth.*`, `team.*`, `users.*`, `usergroups.*` and `conversations.*`, against one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def table(self) -> Methods:
        """Name the methods."""
        return {
            "auth.test": Method(self.auth_test),
            "bots.info": Method(self.bots_info, "users:read"),
            "team.info": Method(self.team_info, "team:read"),
            "users.info": Method(self.users_info, "users:read"),
            "users.list": Method(self.users_list, "users:read"),
            "usergroups.users.list": Method(self.usergroups_users_list, "usergroups:read"),
            "conversations.open": Method(self.conversations_open, "im:write"),
            "conversations.info": Method(self.conversations_info, "channels:read"),
            "conversations.members": Method(self.conversations_members, "channels:read"),
        }

    def auth_test(self, _: Arguments) -> Answer:
        """Say whose token it is."""
        team = {"url": f"https://{self._workspace.domain}.slack.com/", "team": self._workspace.domain}
        bot = {"user": "turso-rotate", "user_id": BOT_USER, "bot_id": BOT_ID}
        return {"ok": True, **team, "team_id": self._workspace.team_id, **bot, "is_enterprise_install": False}

    def bots_info(self, arguments: Arguments) -> Answer:
        """Say which app a bot belongs to."""
        if arguments.get("bot") != BOT_ID:
            raise SaysNoError("bot_not_found")
        bot = {"id": BOT_ID, "app_id": self._workspace.app_id, "user_id": BOT_USER, "name": "turso-rotate"}
        return {"ok": True, "bot": {**bot, "deleted": False}}

    def team_info(self, _: Arguments) -> Answer:
        """Describe the workspace."""
        domain = self._workspace.domain
        return {"ok": True, "team": {"id": self._workspace.team_id, "name": domain, "domain": domain}}

    def users_info(self, arguments: Arguments) -> Answer:
        """Describe one person."""
        person = self._workspace.people.get(str(arguments.get("user", "")))
        if person is None:
            raise SaysNoError("user_not_found")
        return {"ok": True, "user": self._user(person)}

    def users_list(self, _: Arguments) -> Answer:
        """Describe everybody, on one page."""
        members = [self._user(person) for person in self._workspace.people.values()]
        return {"ok": True, "members": members, "response_metadata": {"next_cursor": ""}}

    def usergroups_users_list(self, arguments: Arguments) -> Answer:
        """List the members of a user group."""
        users = self._workspace.groups.get(str(arguments.get("usergroup", "")))
        if users is None:
            raise SaysNoError("no_such_subteam")
        return {"ok": True, "users": users}

    def conversations_open(self, arguments: Arguments) -> Answer:
        """Open a direct conversation with the users, separated by commas."""
        users = [user.strip() for user in str(arguments.get("users", "")).split(",") if user.strip()]
        if not users:
            raise SaysNoError("users_list_not_supplied")
        if any(user not in self._workspace.people for user in users):
            raise SaysNoError("user_not_found")
        return {"ok": True, "channel": {"id": self._workspace.direct(users)}}

    def conversations_info(self, arguments: Arguments) -> Answer:
        """Describe a channel."""
        channel = self._channel(arguments)
        direct = channel in self._workspace.conversations
        inside = direct or channel in self._workspace.joined
        kind = {"is_channel": not direct, "is_im": direct, "is_member": inside, "is_archived": False}
        shared = {"is_shared": False, "is_ext_shared": False, "is_org_shared": False}
        name = {} if direct else {"name": self._workspace.channels[channel]}
        about = {"topic": {"value": ""}, "purpose": {"value": ""}}
        traits = self._workspace.traits.get(channel, {})
        if traits.get("is_private"):
            self._permits_private(inside=inside)
        return {"ok": True, "channel": {"id": channel, **name, **about, **kind, **shared, **traits}}

    def conversations_members(self, arguments: Arguments) -> Answer:
        """List who is in a channel, on one page."""
        channel = self._channel(arguments)
        everybody = [each.user_id for each in self._workspace.people.values() if not each.deactivated]
        members = sorted(self._workspace.conversations.get(channel, everybody))
        return {"ok": True, "members": [*members, BOT_USER], "response_metadata": {"next_cursor": ""}}

    def _permits_private(self, *, inside: bool) -> None:
        if not inside:
            raise SaysNoError("channel_not_found")
        if "groups:read" not in self._workspace.scopes:
            raise SaysNoError("missing_scope", needed="groups:read", provided=",".join(self._workspace.scopes))

    def _channel(self, arguments: Arguments) -> str:
        channel = str(arguments.get("channel", ""))
        if not self._workspace.knows(channel):
            raise SaysNoError("channel_not_found")
        return channel

    def _user(self, person: Person) -> dict[str, Any]:
        email = {"email": f"{person.name}@example.com"} if "users:read.email" in self._workspace.scopes else {}
        return {
            "id": person.user_id,
            "team_id": person.team_id,
            "name": person.name,
            "real_name": person.name,
            "deleted": person.deactivated,
            "profile": {"real_name": person.name, "display_name": person.name, **email},
            "is_bot": False,
            "is_restricted": person.is_guest,
            "is_ultra_restricted": False,
            "is_stranger": person.team_id != self._workspace.team_id,
            "tz": "Etc/UTC",
        }
