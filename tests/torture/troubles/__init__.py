"""What goes wrong. Each trouble is a method; it lasts as long as planned, and is over when the method returns."""

import asyncio
from collections.abc import Sequence

from tests.torture.schedule import Planned
from tests.torture.stage import Stage
from tests.torture.troubles.databases import DatabaseTroubles
from tests.torture.troubles.operators import Operators
from tests.torture.troubles.processes import ProcessTroubles
from tests.torture.troubles.slack import SlackTroubles
from tests.torture.troubles.turso import TursoTroubles

_KINDS = (ProcessTroubles, DatabaseTroubles, TursoTroubles, SlackTroubles, Operators)


async def befall(stage: Stage, family: Sequence[Planned], began: float) -> None:
    """Let the troubles of one family come, each at its time of the loop's clock."""
    kinds = [kind(stage) for kind in _KINDS]
    for planned in family:
        await asyncio.sleep(began + planned.at - asyncio.get_running_loop().time())
        kind = next(each for each in kinds if hasattr(each, planned.name))
        await getattr(kind, planned.name)(planned)
