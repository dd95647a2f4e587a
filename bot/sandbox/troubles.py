"""Which requests are planned to go wrong, how, and how often."""

from dataclasses import dataclass, field

from bot.sandbox.faults import Fault


@dataclass(slots=True)
class _Planned:
    """One fault, and how many requests it is still for; `None`: until healed."""

    target: str
    fault: Fault
    left: int | None


@dataclass(frozen=True, slots=True)
class Troubles:
    """The planned faults, first come, first served."""

    _planned: list[_Planned] = field(default_factory=list)

    def plan(self, target: str, fault: Fault, times: int | None = None) -> None:
        """Let the fault befall the next `times` requests for the target, or all of them until healed."""
        self._planned.append(_Planned(target, fault, times))

    def heal(self) -> None:
        """Forget everything planned."""
        self._planned.clear()

    def next(self, *targets: str) -> Fault | None:
        """Take the fault that befalls a request which is known under any of these names."""
        for planned in self._planned:
            if planned.target in targets:
                self._use(planned)
                return planned.fault
        return None

    def _use(self, planned: _Planned) -> None:
        if planned.left is None:
            return
        planned.left -= 1
        if planned.left <= 0:
            self._planned.remove(planned)
