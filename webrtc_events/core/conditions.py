"""How a part of the service, or something that it depends on, is doing."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Condition", "Health"]


class Health(StrEnum):
    """From best to worst. With `degraded` the service works, and somebody should look."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Condition:
    """`detail` says what is wrong, for people; it names no secret and no person."""

    health: Health
    detail: str = ""

    @classmethod
    def ok(cls) -> "Condition":
        return cls(Health.OK)
