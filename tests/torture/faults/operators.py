"""What operators do meanwhile at a terminal: take grants and give them back, note rotations made by hand, and judge."""

import asyncio
import time
from contextlib import suppress

from tests.process import run
from tests.torture.facts import GrantChange
from tests.torture.people import GRANTED, GROUPS, MEMBERS
from tests.torture.rig import Rig
from tests.torture.schedule import Planned
from tests.torture.tables import Tables

_ALREADY = 2
"""The exit code of a command that finds the grant as it should be: its first try had worked after all."""


class Operators:
    """The commands, as processes of their own."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ledger = rig.ledger
        self._tables = Tables(rig.database_url)

    async def grants_are_taken(self, planned: Planned) -> None:
        """Take somebody's grants, and give them back later."""
        person = MEMBERS[int(planned.draw * len(MEMBERS))]
        await self.change_grants(person.user_id, person.team_id, given=False)
        await asyncio.sleep(planned.lasts)
        await self.change_grants(person.user_id, person.team_id, given=True)

    async def somebody_notes(self, planned: Planned) -> None:
        """Note a rotation that was made by hand."""
        group = GROUPS[int(planned.draw * len(GROUPS))]
        await self._command("audit", "note", group, "--note", "made by hand")

    async def somebody_judges(self, planned: Planned) -> None:
        """Judge what an unknown rotation had been, perhaps otherwise than before."""
        with suppress(OSError):
            unknown = [each for each in await self._tables.rotations() if each.state == "unknown"]
            if unknown:
                chosen, verdict = unknown[int(planned.draw * len(unknown))], ("succeeded", "failed")[len(unknown) % 2]
                await self._command("audit", "resolve", chosen.id, "--as", verdict, "--note", "tried an old token")

    async def change_grants(self, user_id: str, team_id: str, *, given: bool) -> None:
        """Give or take a grant at a terminal; it is given back even if that takes several tries."""
        verb, which = ("add", ("--group", GRANTED)) if given else ("remove", ())
        done = False
        while not done:
            at = time.time()
            code = await self._command("allow", verb, user_id, "--team", team_id, *which)
            done = code == 0 or (given and code == _ALREADY)
            self._ledger.grant_changes.append(GrantChange(at, time.time(), user_id, given=given, done=done))
            if not given:
                return

    async def _command(self, *arguments: str) -> int:
        settings = {name: value for name, value in self._rig.settings.items() if name != "SLACK_BOT_TOKEN"}
        code, out, err = await run(settings, self._rig.folder, *arguments)
        self._ledger.logs += [line + "\n" for line in (out + err).splitlines()]
        return code
