"""Faults of the processes; half of them wait for a press, and come while it is worked on."""

import asyncio
import signal

from tests.torture.replica import Replica
from tests.torture.rig import Rig
from tests.torture.schedule import Planned


class ProcessFaults:
    """Kills, restarts and pauses."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    async def kill(self, planned: Planned) -> None:
        """Kill -9."""
        await self._aim(planned)
        await self._replica(planned).again(signal.SIGKILL, planned.lasts)

    async def restart(self, planned: Planned) -> None:
        """End it politely, and start it again."""
        await self._replica(planned).again(signal.SIGTERM, planned.lasts)

    async def pause(self, planned: Planned) -> None:
        """Let it stand still, as a closed laptop does."""
        await self._aim(planned)
        await self._replica(planned).stand_still(planned.lasts)

    async def _aim(self, planned: Planned) -> None:
        if planned.draw > 0.5:
            await self._replica(planned).is_pressed(seconds=2.0)
            await asyncio.sleep((planned.draw - 0.5) / 10)

    def _replica(self, planned: Planned) -> Replica:
        return self._rig.replicas[planned.replica]
