"""A violation of a law."""

from dataclasses import dataclass

LAWS = {
    0: "No bug shows in the log",
    1: "Record first",
    2: "One confirmation, at most one call",
    3: "Only the truth",
    4: "Deny by default",
    5: "Every attempt leaves a row",
    6: "Rows never change",
    7: "No secret leaves",
    8: "Slack gets its answer within 3 seconds",
    9: "Every card is settled",
    10: "A restart loses nothing",
}


@dataclass(frozen=True)
class Violation:
    """What was broken, and of which rotation if it is of one."""

    law: int
    what: str
    rotation_id: str | None = None
    at: float | None = None
    """Where to look, in unix seconds."""
    person: str | None = None

    def __str__(self) -> str:
        of = "" if self.rotation_id is None else f" [rotation {self.rotation_id}]"
        return f"Law {self.law}, {LAWS[self.law].lower()}: {self.what}{of}"
