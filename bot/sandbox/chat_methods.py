"""The Web API methods that post messages."""

from bot.sandbox.block_kit import message_problems
from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import Content
from bot.sandbox.methods import Method, MethodError, Methods, invalid_blocks
from bot.sandbox.payloads import message_json
from bot.sandbox.response_urls import parse_content
from bot.sandbox.workspace import Audience, Workspace


class ChatMethods:
    """`chat.*`, for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def table(self) -> Methods:
        """Return the methods by name."""
        return {
            "chat.postMessage": Method(self.post_message, "chat:write"),
            "chat.postEphemeral": Method(self.post_ephemeral, "chat:write"),
        }

    def post_message(self, arguments: JsonObject) -> JsonObject:
        """Post to a channel, a direct conversation, or a user id."""
        channel = self._channel(arguments)
        message = self._workspace.post(Audience(channel), _content(arguments), via="chat.postMessage")
        return {"ok": True, "channel": channel, "ts": message.ts, "message": message_json(message)}

    def post_ephemeral(self, arguments: JsonObject) -> JsonObject:
        """Show a message to one person in a channel."""
        channel = self._channel(arguments, public=False)
        user_id = str(arguments.get("user", ""))
        if not self._workspace.has_member(channel, user_id):
            raise MethodError("user_not_in_channel")
        audience = Audience(channel, user_id)
        message = self._workspace.post(audience, _content(arguments), via="chat.postEphemeral")
        return {"ok": True, "message_ts": message.ts}

    def _channel(self, arguments: JsonObject, *, public: bool = True) -> str:
        channel = str(arguments.get("channel", ""))
        if channel in self._workspace.people:
            return self._workspace.direct_channel(channel)
        if not self._workspace.has_channel(channel):
            raise MethodError("channel_not_found")
        is_member = channel in self._workspace.joined or channel not in self._workspace.channels
        if not is_member and not (public and "chat:write.public" in self._workspace.scopes):
            raise MethodError("not_in_channel")
        return channel


def _content(arguments: JsonObject) -> Content:
    content, error = parse_content(arguments)
    if error == "invalid_blocks":
        raise invalid_blocks(message_problems(content.blocks))
    if error is not None:
        raise MethodError(error)
    return content
