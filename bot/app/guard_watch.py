"""Watch the guards of history while the bot runs: who removes them may be about to rewrite it."""

import structlog

from bot.store.guard_record import SqlGuards
from bot.store.guards import GUARDS_FIX

log = structlog.get_logger(__name__)


class GuardWatch:
    """Looks at the guards again and again, and says once when they go and once when they are back."""

    def __init__(self, guards: SqlGuards) -> None:
        self._guards = guards
        self._logged: frozenset[str] = frozenset()
        self._recorded: frozenset[str] | None = None

    @property
    def broken(self) -> bool:
        """Whether a guard was broken when last looked at."""
        return bool(self._logged)

    async def look(self) -> None:
        """Compare with what was seen before, and log and record a change. Raises `DatabaseError`."""
        broken = await self._guards.broken()
        if broken != self._logged:
            self._log(broken)
        self._logged = broken
        if broken != self._recorded:
            await self._guards.note(broken)
        self._recorded = broken

    @staticmethod
    def _log(broken: frozenset[str]) -> None:
        if not broken:
            log.info("the database protects its history again")
            return
        log.error("the database no longer protects its history", guards=sorted(broken), fix=GUARDS_FIX)
