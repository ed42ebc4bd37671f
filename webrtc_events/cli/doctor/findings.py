"""What the doctor finds: how bad it is, what it means, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["EXIT_STATUS", "Area", "Finding", "Level", "error", "exit_status", "fine", "warning"]


class Level(StrEnum):
    """ERROR: something does not work, or will not. WARNING: somebody should look."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Area(StrEnum):
    """What was looked at, in the order in which it is shown."""

    SETTINGS = "settings"
    STORE = "store"
    SERVICE = "service"
    ISSUER = "issuer"
    TOKEN = "token"  # noqa: S105 - an area, no token
    CLIENT_KEYS = "client keys"
    SINK = "sink"
    OPERATOR_SINK = "operator sink"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Finding:
    """`action`: what to do; empty where there is nothing to do."""

    area: Area
    level: Level
    text: str
    action: str = ""

    def document(self) -> dict[str, str]:
        return asdict(self)


EXIT_STATUS = {Level.OK: 0, Level.WARNING: 1, Level.ERROR: 2}
_WORST_FIRST = (Level.ERROR, Level.WARNING, Level.OK)


def exit_status(findings: list[Finding]) -> int:
    """That of the worst."""
    worst = min((finding.level for finding in findings), key=_WORST_FIRST.index, default=Level.OK)
    return EXIT_STATUS[worst]


def fine(area: Area, text: str) -> Finding:
    return Finding(area, Level.OK, text)


def warning(area: Area, text: str, action: str) -> Finding:
    return Finding(area, Level.WARNING, text, action)


def error(area: Area, text: str, action: str) -> Finding:
    return Finding(area, Level.ERROR, text, action)
