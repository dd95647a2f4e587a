"""The Web API methods that describe the team, its people and its channels."""

from bot.sandbox.json_object import JsonObject
from bot.sandbox.methods import Method, MethodError, Methods
from bot.sandbox.workspace import BOT_ID, BOT_USER, Person, Workspace


class DirectoryMethods:
    """`auth.*`, `bots.*`, `users.*` and `conversations.*`, for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def table(self) -> Methods:
        """Return the methods by name."""
        return {
            "auth.test": Method(self.auth_test),
            "bots.info": Method(self.bots_info, "users:read"),
            "users.info": Method(self.users_info, "users:read"),
            "conversations.info": Method(self.conversations_info, "channels:read"),
        }

    def auth_test(self, _: JsonObject) -> JsonObject:
        """Return the identity behind the token."""
        team = {"url": f"https://{self._workspace.domain}.slack.com/", "team": self._workspace.domain}
        bot = {"user": "turso-rotate", "user_id": BOT_USER, "bot_id": BOT_ID}
        enterprise_id = self._workspace.enterprise_id
        enterprise = {} if enterprise_id is None else {"enterprise_id": enterprise_id}
        ids = {"team_id": self._workspace.team_id, **enterprise, "is_enterprise_install": False}
        return {"ok": True, **team, **bot, **ids, **self._workspace.auth}

    def bots_info(self, arguments: JsonObject) -> JsonObject:
        """Return the app that a bot belongs to."""
        if arguments.get("bot") != BOT_ID:
            raise MethodError("bot_not_found")
        bot = {"id": BOT_ID, "app_id": self._workspace.app_id, "user_id": BOT_USER, "name": "turso-rotate"}
        return {"ok": True, "bot": {**bot, "deleted": False}}

    def users_info(self, arguments: JsonObject) -> JsonObject:
        """Describe one person."""
        person = self._workspace.people.get(str(arguments.get("user", "")))
        if person is None:
            raise MethodError("user_not_found")
        return {"ok": True, "user": self._user(person)}

    def conversations_info(self, arguments: JsonObject) -> JsonObject:
        """Describe a channel."""
        channel = str(arguments.get("channel", ""))
        if not self._workspace.has_channel(channel):
            raise MethodError("channel_not_found")
        direct = channel not in self._workspace.channels
        is_member = direct or channel in self._workspace.joined
        flags = self._workspace.channel_flags.get(channel, {})
        if flags.get("is_private"):
            self._check_private(is_member=is_member)
        kind = {"is_channel": not direct, "is_im": direct, "is_member": is_member, "is_archived": False}
        shared = {"is_shared": False, "is_ext_shared": False, "is_org_shared": False}
        name = {} if direct else {"name": self._workspace.channels[channel]}
        about = {"topic": {"value": ""}, "purpose": {"value": ""}}
        return {"ok": True, "channel": {"id": channel, **name, **about, **kind, **shared, **flags}}

    def _check_private(self, *, is_member: bool) -> None:
        if not is_member:
            raise MethodError("channel_not_found")
        if "groups:read" not in self._workspace.scopes:
            raise MethodError("missing_scope", needed="groups:read", provided=",".join(self._workspace.scopes))

    def _user(self, person: Person) -> JsonObject:
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
            "is_stranger": not self._workspace.has_colleague(person),
            "tz": "Etc/UTC",
        }
