"""The people, and what they do in Slack."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random

from bot.sandbox.deliveries import Delivery
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from tests.torture import schedule
from tests.torture.ledger import Ledger
from tests.torture.replica import Replica

CONFIRM, CONFIRM_AGAIN, CANCEL = "rotation:confirm", "rotation:confirm_again", "rotation:cancel"
MEMBERS = tuple(
    Person(f"U0MEMBER{number}", name) for number, name in enumerate(("alice", "bob", "carol", "dave", "eve", "frank"))
)
STRANGER = Person("U0STRANGE", "mallory")
GUEST = Person("U0GUEST01", "guest", team_id="T0OTHER99", is_guest=True)
EVERYBODY = (*MEMBERS, STRANGER, GUEST)
GROUPS = ("prod-ledger", "prod-mail", "prod-orders", "prod-payments", "prod-search")
GRANTED = "prod-*"
FORBIDDEN = "vault"
"""A group that Turso has and nobody may rotate."""
_DECIDES_FIRST = 0.9
"""How often somebody who has a card presses it instead of asking again."""
_THINKS_SECONDS = (0.05, 0.4)
_LETTERS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
_NONSENSE = ("../vault", "payments/../vault", "no-such-group", "!!!", "\u202e", "payments " + "x" * 5000)
_Send = Callable[[str | None], Coroutine[object, object, Delivery]]


class People:
    """Everybody at once, each with random numbers of their own."""

    def __init__(self, seed: int, slack: LocalSlack, replicas: Sequence[Replica], ledger: Ledger, mode: str) -> None:
        self._seed = seed
        self._slack = slack
        self._ledger = ledger
        self._turns = itertools.cycle(replicas)
        self._by_http = mode == "http"
        self._replicas = replicas

    async def act(self, until: float) -> None:
        """Let everybody do one thing after another until a moment of the loop's clock."""
        await asyncio.gather(*(self._lives(person, until) for person in EVERYBODY))

    async def press_what_is_left(self) -> None:
        """Let everybody press *Cancel* on each card that they still see, once more."""
        left = [(person, card) for person in EVERYBODY for card in self._open_cards(person)]
        await asyncio.gather(*(self.presses(person, card, CANCEL) for person, card in left))

    async def _lives(self, person: Person, until: float) -> None:
        rng = schedule.rng_for(self._seed, person.user_id)
        while asyncio.get_running_loop().time() < until:
            await getattr(self, f"_{schedule.move(rng)}")(person, rng)
            await asyncio.sleep(rng.uniform(*_THINKS_SECONDS))

    async def _asks(self, person: Person, rng: Random) -> None:
        if self._open_cards(person) and rng.random() < _DECIDES_FIRST:
            await self._confirms(person, rng)
            return
        await self.types(person, f"/turso-rotate {rng.choice(GROUPS)} key leaked in CI")

    async def _asks_twice(self, person: Person, rng: Random) -> None:
        delivery = await self.types(person, f"/turso-rotate {rng.choice(GROUPS)}")
        await self._again(person, delivery, row=True)

    async def _asks_with_a_secret(self, person: Person, rng: Random) -> None:
        secret = _secret(rng)
        self._ledger.secrets[f"the token that {person.name} typed ({secret[:4]}…)"] = secret
        await self.types(person, f"/turso-rotate {rng.choice(GROUPS)} I pasted {secret} into a ticket")

    async def _asks_for_what_is_forbidden(self, person: Person, _: Random) -> None:
        await self.types(person, f"/turso-rotate {FORBIDDEN}")

    async def _types_nonsense(self, person: Person, rng: Random) -> None:
        await self.types(person, f"/turso-rotate {rng.choice(_NONSENSE)}")

    async def _reads_history(self, person: Person, _: Random) -> None:
        await self.types(person, "/turso-audit", row=False)

    async def _confirms(self, person: Person, _: Random) -> None:
        for card in self._open_cards(person)[-1:]:
            await self.presses(person, card, _confirm_on(card))

    async def _confirms_twice_at_once(self, person: Person, _: Random) -> None:
        for card in self._open_cards(person)[-1:]:
            await asyncio.gather(*(self.presses(person, card, _confirm_on(card)) for _ in range(3)))

    async def _confirms_and_is_delivered_again(self, person: Person, _: Random) -> None:
        for card in self._open_cards(person)[-1:]:
            await self._again(person, await self.presses(person, card, _confirm_on(card)))

    async def _confirms_and_cancels_at_once(self, person: Person, _: Random) -> None:
        for card in self._open_cards(person)[-1:]:
            await asyncio.gather(*(self.presses(person, card, action) for action in (_confirm_on(card), CANCEL)))

    async def _cancels(self, person: Person, _: Random) -> None:
        for card in self._open_cards(person)[-1:]:
            await self.presses(person, card, CANCEL)

    async def _presses_an_old_card(self, person: Person, rng: Random) -> None:
        if cards := self._ledger.cards.get(person.user_id):
            card = rng.choice(cards)
            await self.presses(person, card, rng.choice((_confirm_on(card), CANCEL)))

    async def _presses_the_card_of_somebody_else(self, person: Person, rng: Random) -> None:
        others = [card for whose, cards in self._ledger.cards.items() if whose != person.user_id for card in cards[-3:]]
        if others:
            card = rng.choice(others)
            await self.presses(person, card, rng.choice((_confirm_on(card), CANCEL)), row=True)

    async def _forges_a_value(self, person: Person, rng: Random) -> None:
        if cards := self._ledger.cards.get(person.user_id):
            value = rng.choice(("nosuchrotatio", "' OR 1=1 --", "../x", "\u0000", "9" * 2000))
            await self.presses(person, cards[-1], rng.choice((CONFIRM, CONFIRM_AGAIN, CANCEL)), value=value)

    def _open_cards(self, person: Person) -> list[PostedMessage]:
        return [card for card in self._ledger.cards.get(person.user_id, ()) if card.buttons]

    async def types(self, person: Person, text: str, *, row: bool = True) -> Delivery:
        """Type a command; `row` says whether the trail must name the delivery."""
        return await self._deliver(person, text, lambda over: self._slack.types(person, text, over=over), row=row)

    async def presses(
        self, person: Person, card: PostedMessage, action: str, *, value: str | None = None, row: bool = False
    ) -> Delivery:
        """Press a button, old or new; `value` forges what it is for."""
        element = card.element(action) or {}
        what = f"{action} {element.get('value', '') if value is None else value}"
        pressed = self._deliver(
            person, what, lambda over: self._slack.presses(person, card, action, value=value, over=over), row=row
        )
        for replica in self._replicas:
            replica.was_pressed()
        return await pressed

    async def _again(self, person: Person, delivery: Delivery, *, row: bool = False) -> None:
        await self._deliver(
            person, "(the same delivery again)", lambda over: self._slack.redelivers(delivery, over=over), row=row
        )

    async def _deliver(self, person: Person, what: str, send: _Send, *, row: bool) -> Delivery:
        replica = next(self._turns) if self._by_http else None
        at = time.time()
        delivery = await send(replica.request_url if replica else None)
        number = replica.number if replica else None
        self._ledger.note_user_action(person.user_id, what[:80], delivery, at, replica=number, row=row)
        return delivery


def _confirm_on(card: PostedMessage) -> str:
    return CONFIRM if card.element(CONFIRM) else CONFIRM_AGAIN


def _secret(rng: Random) -> str:
    """Return something that looks like a token of a kind that people paste."""
    letters = "".join(rng.choice(_LETTERS) for _ in range(40))
    return rng.choice(
        (f"ghp_{letters[:36]}", f"xoxb-1234567890-{letters}", f"eyJhbGciOiJFZERTQSJ9.{letters}.{letters[::-1]}")
    )
