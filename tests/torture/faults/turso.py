"""Faults of Turso: what it answers, and whether it rotated."""

import asyncio
from dataclasses import dataclass

from bot.sandbox.faults import Fault, FixedResponse, Hang
from tests.faults import TruncatedBody, TruncatedHeaders
from tests.torture.rig import Rig
from tests.torture.schedule import Planned

_ERROR = b'{"error": "internal server error"}'


@dataclass(frozen=True, slots=True)
class _Performed(FixedResponse):
    """Answer with a status that usually denies the work, after it was done."""

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - see `Fault`
        return True


class TursoFaults:
    """Answers of every kind, and none."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ledger = rig.ledger

    async def turso_answers_5xx(self, planned: Planned) -> None:
        """Let it rotate or not, and answer that something broke."""
        status = (500, 502, 503, 504)[int(planned.draw * 4)]
        await self._turso(planned, FixedResponse(status, _ERROR, performs=planned.draw * 8 % 2 < 1))

    async def turso_hangs(self, planned: Planned) -> None:
        """Let it rotate, and answer only when the caller has left."""
        await self._turso(planned, Hang())

    async def turso_breaks_off(self, planned: Planned) -> None:
        """Let it rotate, and break off in the middle of the answer."""
        await self._turso(planned, TruncatedBody() if planned.draw < 0.5 else TruncatedHeaders())

    async def turso_is_slow(self, planned: Planned) -> None:
        """Let it answer late, sometimes too late."""
        await self._turso(planned, Fault(delay=0.3 + planned.draw))

    async def turso_limits(self, planned: Planned) -> None:
        """Let it answer 429."""
        headers = {"Retry-After": str(round(planned.draw))}
        await self._turso(planned, FixedResponse(429, b'{"error": "too many requests"}', headers))

    async def turso_answers_408(self, planned: Planned) -> None:
        """Let it rotate, and answer as if it had not."""
        await self._turso(planned, _Performed(408, _ERROR))

    async def turso_answers_html(self, planned: Planned) -> None:
        """Let something in between answer with a page."""
        await self._turso(planned, FixedResponse(200, b"<html>Sign in to continue</html>"))

    async def turso_refuses(self, planned: Planned) -> None:
        """Let it refuse, and do nothing."""
        await self._turso(planned, FixedResponse((401, 403)[round(planned.draw)], b'{"error": "not authorized"}'))

    async def turso_refuses_connections(self, planned: Planned) -> None:
        """Take it off the network."""
        with self._ledger.fault("turso", "refused connections"):
            await self._rig.turso.go_offline()
            await asyncio.sleep(planned.lasts)
            await self._rig.turso.go_online()

    async def _turso(self, planned: Planned, fault: Fault) -> None:
        with self._ledger.fault("turso", planned.name):
            self._rig.turso.inject(fault)
            await asyncio.sleep(planned.lasts)
            self._rig.turso.clear_faults()
