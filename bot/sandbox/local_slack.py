"""A Slack workspace on 127.0.0.1 that speaks Slack's own protocols to the app."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Self

from bot.sandbox.deliveries import Delivery, DeliveryRouter, Parcel, Route
from bot.sandbox.feed import Change, Changes, within
from bot.sandbox.messages import Block, Content, Message
from bot.sandbox.outages import Outages
from bot.sandbox.payloads import Payload, Payloads, Triggers, action_on
from bot.sandbox.reception import Reception
from bot.sandbox.response_urls import ResponseUrls, content_of
from bot.sandbox.view_methods import ViewMethods
from bot.sandbox.viewer import Witness
from bot.sandbox.views import View
from bot.sandbox.web_api import Call
from bot.sandbox.workspace import Channel, Person, Workspace

__all__ = ["Call", "Change", "Delivery", "LocalSlack", "Message", "Person", "View"]
DEFAULT_CHANNELS: Mapping[str, str] = {"C0INCIDENT": "incident", "C0AUDIT": "audit"}


class LocalSlack(Outages):
    """People, channels and one installed app; an async context manager.

    People act (`types`, `presses`, `submits`, `opens_home`), the app is answered over HTTP and WebSockets,
    and `sees` waits for what people read. what `Outages` inherits to it makes Slack misbehave.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about the workspace
        self,
        *,
        team_id: str = "T012AB3CD",
        bot_token: str = "xoxb-local-bot",  # noqa: S107 - opens nothing but this sandbox
        app_token: str = "xapp-local-app",  # noqa: S107 - the same
        signing_secret: str = "local-signing-secret",  # noqa: S107 - the same
        channels: Mapping[str, str] = DEFAULT_CHANNELS,
        people: Iterable[Person] = (),
        port: int = 0,
        clock: Callable[[], float] = time.time,  # ages response_urls and trigger ids; signatures use the real time
    ) -> None:
        self.request_url: str | None = None  # where the app listens over HTTP; `None`: Socket Mode
        self.workspace = Workspace(team_id, channels, clock)
        self.workspace.welcome(people)
        urls, triggers = ResponseUrls(self.workspace, clock), Triggers(clock)
        self._payloads = Payloads(self.workspace, urls, triggers)
        self._views = ViewMethods(self.workspace, triggers)
        super().__init__(Reception(self.workspace, urls, self._views, (bot_token, app_token), port))
        self._courier = DeliveryRouter(signing_secret, self._reception.sockets)
        self._witness = Witness(self.workspace)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._courier)
        self._open.push_async_callback(self._reception.port.close)
        await self._reception.port.open()
        self._payloads.base_url = self._reception.port.url
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()
        self.workspace.feed.end()

    @property
    def api_url(self) -> str:
        """Return the value for `SLACK_API_URL`."""
        return f"{self._reception.port.url}/api/"

    @property
    def messages(self) -> list[Message]:
        """Return everything that anybody ever saw, in order."""
        return self.workspace.messages

    @property
    def calls(self) -> list[Call]:
        """Return every request of the app, in order."""
        return self._reception.calls

    async def types(
        self,
        person: Person,
        text: str,
        *,
        channel: str = "C0INCIDENT",
        trigger_id: str | None = None,
        over: Route = None,
    ) -> Delivery:
        """Type a slash command; return when it is acknowledged, or after three seconds."""
        self.workspace.meet(person)
        payload = self._payloads.command(person, text, channel, trigger_id)
        return await self._delivers(Parcel("slash_commands", payload), over)

    async def presses(  # noqa: PLR0913 - what tests forge about a click
        self,
        person: Person,
        where: Message | View,
        action_id: str,
        *,
        value: str | None = None,
        without: Collection[str] = (),
        over: Route = None,
        **overrides: object,
    ) -> Delivery:
        """Press a button, or choose the option with this value.

        The action need not be there any more: a card on somebody's screen may be stale. `value` forges
        the button's value, `without` and `overrides` forge the payload's top level.
        """
        self.workspace.meet(person)
        payload = self._payloads.click(person, where, action_on(where, action_id, value)) | overrides
        return await self.interacts({key: each for key, each in payload.items() if key not in without}, over=over)

    async def uses(self, person: Person, where: Message | View, action: Block, values: Payload) -> Delivery:
        """Use an element that is described already; `values` is what the inputs around it hold."""
        payload = self._payloads.click(person, where, action)
        if isinstance(where, View):
            payload["view"]["state"] = {"values": values}
        else:
            payload["state"] = {"values": values}
        return await self.interacts(payload)

    async def interacts(self, payload: Payload, *, over: Route = None) -> Delivery:
        """Deliver an interaction as it is."""
        return await self._delivers(Parcel("interactive", payload), over)

    async def submits(self, person: Person, view: View, values: Payload, *, over: Route = None) -> Delivery:
        """Submit a modal (`values`: block id → action id → input); it does what the acknowledgement says."""
        delivery = await self.interacts(self._payloads.submission(person, view, values), over=over)
        if delivery.error is None:
            self._views.answered(view, delivery.body)
        return delivery

    async def opens_home(self, person: Person, *, over: Route = None) -> Delivery:
        """Look at the app's Home tab."""
        self.workspace.meet(person)
        return await self._delivers(Parcel("events_api", self._payloads.home_opened(person)), over)

    async def redelivers(self, delivery: Delivery, *, over: Route = None) -> Delivery:
        """Deliver the same payload again, newly signed, as Slack does when it doubts that it arrived."""
        again = Parcel(delivery.parcel.kind, delivery.parcel.payload, delivery.parcel.attempt + 1)
        return await self._delivers(again, over)

    async def sees(
        self,
        person: Person | None,
        *needles: str,
        timeout: float = 5.0,  # noqa: ASYNC109 - a story says how long people wait
        since: int = 0,
        channel: str | None = None,
    ) -> Message:
        """Wait until the person (`None`: anybody) reads all the needles in one message.

        Messages count in their current version, those from position `since` on, the newest first.

        Raises:
            AssertionError: it did not happen in time; the text lists what was seen instead.

        """

        def accepts(message: Message) -> bool:
            return channel in {None, message.channel} and all(needle in message.plain for needle in needles)

        def complaint() -> str:
            seen = "\n---\n".join(message.plain for message in self.visible_to(person)[-20:])
            return f"{needles} for {person}; seen were:\n{seen or 'no messages'}"

        return await within(timeout, self._witness.message(person, accepts, since), complaint)

    async def sees_view(self, person: Person, *needles: str, timeout: float = 5.0) -> View:  # noqa: ASYNC109 - as `sees`
        """Wait until the person's topmost modal or Home tab holds all the needles."""

        def accepts(view: View) -> bool:
            return all(needle in view.plain for needle in needles)

        return await within(timeout, self._witness.view(person, accepts), lambda: f"{needles} for {person}")

    def visible_to(self, person: Person | None) -> list[Message]:
        """List what the person (`None`: just anybody) sees now, oldest first."""
        return self._witness.messages(person)

    async def connected(self, count: int = 1, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as `sees`
        """Wait until the app holds so many sockets."""
        sockets = self._reception.sockets
        await within(
            timeout,
            self.workspace.feed.until(lambda: len(sockets) == count),
            lambda: f"{len(sockets)} sockets",
        )

    async def called(self, method: str, times: int = 1, *, timeout: float = 5.0) -> list[Call]:  # noqa: ASYNC109 - as `sees`
        """Wait until a method (or "response_url") was called so often, and return its calls."""

        def calls() -> list[Call]:
            return [call for call in self.calls if call.method == method]

        waiting = self.workspace.feed.until(lambda: len(calls()) >= times)
        await within(timeout, waiting, lambda: f"{len(calls())} calls of {method}")
        return calls()

    def changes(self) -> Changes:
        """Follow what happens from now on, until Slack closes."""
        return self.workspace.feed.follow()

    async def _delivers(self, parcel: Parcel, over: Route) -> Delivery:
        delivery = await self._courier.deliver(parcel, self.request_url if over is None else over)
        if parcel.kind == "slash_commands":
            self._shows_answer(delivery)
        return delivery

    def _shows_answer(self, delivery: Delivery) -> None:
        """Post what the acknowledgement of a command says, or that there was none."""
        payload, body = delivery.parcel.payload, delivery.body
        place = Channel(payload["channel_id"], payload["user_id"])
        if delivery.error is not None:
            text = f'{payload["command"]} failed with the error "{delivery.error}"'
            self.workspace.post(place, Content(text), via="slackbot", author="slackbot")
            return
        said = body if isinstance(body, dict) else {"text": body}
        content, error = content_of(said)
        if error is None:
            public = said.get("response_type") == "in_channel"
            self.workspace.post(Channel(payload["channel_id"]) if public else place, content, via="ack")
