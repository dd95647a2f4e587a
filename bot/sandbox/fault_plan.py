"""Which requests get a fault, which fault, and how often."""

from dataclasses import dataclass, field

from bot.sandbox.faults import Fault


@dataclass(slots=True)
class _PlannedFault:
    """One fault, and how many more requests get it; `None`: all, until cleared."""

    target: str
    fault: Fault
    left: int | None


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """The planned faults; the earliest plan that fits a request goes first."""

    _planned: list[_PlannedFault] = field(default_factory=list)

    def add(self, target: str, fault: Fault, times: int | None = None) -> None:
        """Plan a fault for the next `times` requests to the target, or for all of them until cleared."""
        self._planned.append(_PlannedFault(target, fault, times))

    def clear(self) -> None:
        """Drop all planned faults."""
        self._planned.clear()

    def take(self, *targets: str) -> Fault | None:
        """Return the fault for a request that any of these targets describes, and count it."""
        for planned in self._planned:
            if planned.target in targets:
                self._count(planned)
                return planned.fault
        return None

    def _count(self, planned: _PlannedFault) -> None:
        if planned.left is None:
            return
        planned.left -= 1
        if planned.left <= 0:
            self._planned.remove(planned)
