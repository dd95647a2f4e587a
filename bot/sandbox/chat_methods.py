"""Web API methods that post, change and delete messages."""

from bot.sandbox.blocks import problems
from bot.sandbox.messages import Content, Message
from bot.sandbox.methods import Answer, Arguments, Method, Methods, SaysNoError, invalid_blocks
from bot.sandbox.payloads import message_json
from bot.sandbox.response_urls import content_of
from bot.sandbox.workspace import Channel, Workspace


class ChatMethods:
    """`chat.*`, against one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def table(self) -> Methods:
        """Name the methods."""
        return {
            "chat.postMessage": Method(self.post_message, "chat:write"),
            "chat.postEphemeral": Method(self.post_ephemeral, "chat:write"),
            "chat.update": Method(self.update, "chat:write"),
            "chat.delete": Method(self.delete, "chat:write"),
        }

    def post_message(self, arguments: Arguments) -> Answer:
        """Post to a channel, a direct conversation, or a user id."""
        channel = self._reaches(arguments)
        place = Channel(channel, thread_ts=arguments.get("thread_ts"))
        message = self._workspace.post(place, _content(arguments), via="chat.postMessage")
        return {"ok": True, "channel": channel, "ts": message.ts, "message": message_json(message)}

    def post_ephemeral(self, arguments: Arguments) -> Answer:
        """Show a message to one person in a channel."""
        channel = self._reaches(arguments, public=False)
        user_id = str(arguments.get("user", ""))
        audience = self._workspace.conversations.get(channel, self._workspace.people.keys())
        if user_id not in audience:
            raise SaysNoError("user_not_in_channel")
        place = Channel(channel, user_id, arguments.get("thread_ts"))
        message = self._workspace.post(place, _content(arguments), via="chat.postEphemeral")
        return {"ok": True, "message_ts": message.ts}

    def update(self, arguments: Arguments) -> Answer:
        """Change a message; ephemeral ones cannot be changed this way."""
        message = self._finds(arguments)
        self._workspace.edit(message, _content(arguments), via="chat.update")
        return {
            "ok": True,
            "channel": message.channel,
            "ts": message.ts,
            "text": message.text,
            "message": message_json(message),
        }

    def delete(self, arguments: Arguments) -> Answer:
        """Delete a message."""
        message = self._finds(arguments)
        self._workspace.delete(message)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _reaches(self, arguments: Arguments, *, public: bool = True) -> str:
        channel = str(arguments.get("channel", ""))
        if channel in self._workspace.people:
            return self._workspace.direct([channel])
        if not self._workspace.knows(channel):
            raise SaysNoError("channel_not_found")
        inside = channel in self._workspace.joined or channel in self._workspace.conversations
        if not inside and not (public and "chat:write.public" in self._workspace.scopes):
            raise SaysNoError("not_in_channel")
        return channel

    def _finds(self, arguments: Arguments) -> Message:
        channel = str(arguments.get("channel", ""))
        if not self._workspace.knows(channel):
            raise SaysNoError("channel_not_found")
        message = self._workspace.find(channel, str(arguments.get("ts", "")))
        if message is None:
            raise SaysNoError("message_not_found")
        if message.author != "bot":
            raise SaysNoError("cant_update_message")
        return message


def _content(arguments: Arguments) -> Content:
    content, error = content_of(arguments)
    if error == "invalid_blocks":
        raise invalid_blocks(problems(content.blocks))
    if error is not None:
        raise SaysNoError(error)
    return content
