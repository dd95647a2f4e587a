"""A Slack workspace on 127.0.0.1 that speaks Slack's own protocols to the app."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Self

from bot.sandbox.changes import ChangeBus, within
from bot.sandbox.deliveries import ACK_SECONDS, Delivery, DeliveryKind, Destination, RequestSender, SlackRequest
from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import Content, PostedMessage
from bot.sandbox.outages import Outages
from bot.sandbox.payloads import PayloadBuilder, Triggers, action_on
from bot.sandbox.response_urls import ResponseUrls, parse_content
from bot.sandbox.slack_server import SlackServer
from bot.sandbox.view_methods import ViewMethods
from bot.sandbox.viewer import Viewer
from bot.sandbox.views import View
from bot.sandbox.web_api import ApiCall
from bot.sandbox.workspace import Audience, Person, Workspace

_CHANNELS: Mapping[str, str] = {"C0INCIDENT": "incident", "C0AUDIT": "audit"}
BOT_TOKEN = "xoxb-local-bot"  # noqa: S105 - opens nothing but the sandbox
APP_TOKEN = "xapp-local-app"  # noqa: S105 - the same
_SIGNING_SECRET = "local-signing-secret"  # noqa: S105 - the same


class LocalSlack(Outages):
    """People, channels and one installed app; an async context manager.

    People act (`types`, `presses`, `submits`, `opens_home`), the app is served over HTTP and WebSockets, and
    `sees` waits for what people read. Methods inherited from `Outages` make Slack misbehave.
    """

    def __init__(
        self,
        *,
        channels: Mapping[str, str] = _CHANNELS,
        people: Iterable[Person] = (),
        clock: Callable[[], float] = time.time,  # ages response_urls and trigger ids; signatures use the real time
    ) -> None:
        self.request_url: str | None = None  # where the app listens over HTTP; `None`: Socket Mode
        self.ack_seconds = ACK_SECONDS
        self.workspace = Workspace("T012AB3CD", channels, clock)
        self.workspace.add_people(people)
        urls, triggers = ResponseUrls(self.workspace, clock), Triggers(clock)
        self._payloads = PayloadBuilder(self.workspace, urls, triggers)
        self._views = ViewMethods(self.workspace, triggers)
        super().__init__(SlackServer(self.workspace, urls, self._views, (BOT_TOKEN, APP_TOKEN)))
        self._sender = RequestSender(_SIGNING_SECRET, self._server.sockets)
        self._viewer = Viewer(self.workspace)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._sender)
        self._stack.push_async_callback(self._server.http.close)
        await self._server.http.open()
        self._payloads.base_url = self._server.http.url
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        self.workspace.changes.close()

    @property
    def api_url(self) -> str:
        """Return the value for `SLACK_API_URL`."""
        return f"{self._server.http.url}/api/"

    @property
    def messages(self) -> list[PostedMessage]:
        """Return all messages, in order."""
        return self.workspace.messages

    @property
    def calls(self) -> list[ApiCall]:
        """Return all requests of the app, in order."""
        return self._server.calls

    @property
    def changes(self) -> ChangeBus:
        """Return the bus that publishes what happens; it closes with Slack."""
        return self.workspace.changes

    async def types(
        self,
        person: Person,
        text: str,
        *,
        channel: str = "C0INCIDENT",
        trigger_id: str | None = None,
        over: Destination = None,
    ) -> Delivery:
        """Type a slash command; return when it is acknowledged, or after three seconds."""
        self.workspace.ensure_person(person)
        delivery = await self.delivers(
            "slash_commands", self._payloads.command(person, text, channel, trigger_id), over
        )
        self._show_acknowledgement(delivery)
        return delivery

    async def presses(  # noqa: PLR0913 - what tests forge about a click
        self,
        person: Person,
        where: PostedMessage | View,
        action_id: str,
        *,
        value: str | None = None,
        without: Collection[str] = (),
        over: Destination = None,
        **overrides: object,
    ) -> Delivery:
        """Press a button, or choose the option with this value.

        The action may no longer exist: the card on a person's screen may be stale. `value` forges the
        button's value; `without` and `overrides` forge the payload's top level.
        """
        self.workspace.ensure_person(person)
        payload = self._payloads.click(person, where, action_on(where, action_id, value)) | overrides
        payload = {key: each for key, each in payload.items() if key not in without}
        return await self.delivers("interactive", payload, over)

    async def uses(
        self, person: Person, where: PostedMessage | View, action: JsonObject, values: JsonObject
    ) -> Delivery:
        """Use an element that is already described; `values` are those of the inputs around it."""
        payload = self._payloads.click(person, where, action)
        if isinstance(where, View):
            payload["view"]["state"] = {"values": values}
        else:
            payload["state"] = {"values": values}
        return await self.delivers("interactive", payload)

    async def submits(self, person: Person, view: View, values: JsonObject) -> Delivery:
        """Submit a modal, and apply the acknowledgement; `values` is block id → action id → input."""
        delivery = await self.delivers("interactive", self._payloads.submission(person, view, values))
        if delivery.error is None:
            self._views.apply_submission(view, delivery.body)
        return delivery

    async def opens_home(self, person: Person) -> Delivery:
        """Open the app's Home tab."""
        self.workspace.ensure_person(person)
        return await self.delivers("events_api", self._payloads.home_opened(person))

    async def redelivers(self, delivery: Delivery, *, over: Destination = None) -> Delivery:
        """Deliver the same payload again, with a new signature, as Slack does when an acknowledgement is missing."""
        request = delivery.request
        again = await self.delivers(request.kind, request.payload, over, attempt=request.attempt + 1)
        if request.kind == "slash_commands":
            self._show_acknowledgement(again)
        return again

    async def delivers(
        self, kind: DeliveryKind, payload: JsonObject, over: Destination = None, attempt: int = 0
    ) -> Delivery:
        """Deliver a payload as it is."""
        destination = self.request_url if over is None else over
        return await self._sender.send(SlackRequest(kind, payload, attempt), destination, self.ack_seconds)

    async def sees(
        self,
        person: Person | None,
        *needles: str,
        timeout: float = 5.0,  # noqa: ASYNC109 - a story says how long people wait
        since: int = 0,
        channel: str | None = None,
    ) -> PostedMessage:
        """Wait until the person (`None`: anybody) can read all the needles in one message.

        Searches the current versions of the messages from position `since` on, the newest first.

        Raises:
            AssertionError: it did not happen in time; the text lists what the person saw instead.

        """

        def accepts(message: PostedMessage) -> bool:
            return channel in {None, message.channel} and all(needle in message.plain for needle in needles)

        def explain() -> str:
            seen = "\n---\n".join(message.plain for message in self.visible_to(person)[-20:])
            return f"{needles} for {person}; seen:\n{seen or 'no messages'}"

        return await within(timeout, self._viewer.message(person, accepts, since), explain)

    async def sees_view(self, person: Person, *needles: str, timeout: float = 5.0) -> View:  # noqa: ASYNC109 - as `sees`
        """Wait until the person's topmost modal or Home tab contains all the needles."""

        def accepts(view: View) -> bool:
            return all(needle in view.plain for needle in needles)

        return await within(timeout, self._viewer.view(person, accepts), lambda: f"{needles} for {person}")

    def visible_to(self, person: Person | None) -> list[PostedMessage]:
        """List what the person (`None`: anybody) sees now, oldest first."""
        return self._viewer.messages(person)

    async def connected(self, count: int = 1, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as `sees`
        """Wait until the app holds exactly `count` sockets."""
        sockets = self._server.sockets
        waiting = self.changes.until(lambda: len(sockets) == count)
        await within(timeout, waiting, lambda: f"{len(sockets)} sockets")

    async def called(self, method: str, times: int = 1, *, timeout: float = 5.0) -> list[ApiCall]:  # noqa: ASYNC109 - as `sees`
        """Wait until a method (or "response_url") was called at least `times`, and return its calls."""

        def calls() -> list[ApiCall]:
            return [call for call in self.calls if call.method == method]

        waiting = self.changes.until(lambda: len(calls()) >= times)
        await within(timeout, waiting, lambda: f"{len(calls())} calls of {method}")
        return calls()

    def _show_acknowledgement(self, delivery: Delivery) -> None:
        """Post the acknowledgement of a command, or Slackbot's notice that there was none."""
        payload, body = delivery.request.payload, delivery.body
        person_only = Audience(payload["channel_id"], payload["user_id"])
        if delivery.error is not None:
            text = f'{payload["command"]} failed with the error "{delivery.error}"'
            self.workspace.post(person_only, Content(text), via="slackbot", author="slackbot")
            return
        ack = body if isinstance(body, dict) else {"text": body}
        content, error = parse_content(ack)
        if error is None:
            public = ack.get("response_type") == "in_channel"
            self.workspace.post(Audience(payload["channel_id"]) if public else person_only, content, via="ack")
