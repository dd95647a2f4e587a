"""What goes wrong. Each fault is a method; it lasts as long as planned, and is over when the method returns."""

import asyncio
from collections.abc import Sequence

from tests.torture.faults.databases import DatabaseFaults
from tests.torture.faults.operators import Operators
from tests.torture.faults.processes import ProcessFaults
from tests.torture.faults.slack import SlackFaults
from tests.torture.faults.turso import TursoFaults
from tests.torture.rig import Rig
from tests.torture.schedule import Planned

KINDS = (ProcessFaults, DatabaseFaults, TursoFaults, SlackFaults, Operators)


async def run_faults(rig: Rig, family: Sequence[Planned], began: float) -> None:
    """Let the faults of one family come, each at its time of the loop's clock."""
    kinds = [kind(rig) for kind in KINDS]
    for planned in family:
        await asyncio.sleep(began + planned.at - asyncio.get_running_loop().time())
        kind = next(each for each in kinds if hasattr(each, planned.name))
        await getattr(kind, planned.name)(planned)
