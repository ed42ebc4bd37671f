"""Deliveries of one claim that follow one another, each at the first attempt, kept as one record."""

from typing import Any, Final

__all__ = ["DeliveredRun"]


class DeliveredRun:
    """Which events of one type, when, and how long each took, in the same order.

    store/attempt_records.py reads it.
    """

    __slots__ = (
        "_at",
        "_correlators",
        "_host",
        "_ms",
        "_numbers",
        "_subscription_id",
        "event_type",
        "status",
    )

    def __init__(self, subscription_id: str, host: str, event_type: str, status: int) -> None:
        self.event_type: Final = event_type
        self.status: Final = status
        self._subscription_id = subscription_id
        self._host = host
        self._numbers: list[int] = []
        self._ms: list[int] = []
        self._at: list[int] = []
        self._correlators: list[str] = []

    def add(self, number: int, ms: int, at: int, correlator: str) -> None:
        self._numbers.append(number)
        self._ms.append(ms)
        self._at.append(at)
        self._correlators.append(correlator)

    def record(self) -> dict[str, Any]:
        """As it is kept; one delivery as any other attempt."""
        same = {
            "type": self.event_type.rpartition(".")[2],
            "attempt": 1,
            "outcome": "delivered",
            "reason": "",
            "status": self.status,
            "host": self._host,
        }
        if len(self._numbers) > 1:
            return same | {
                "numbers": self._numbers,
                "ms": self._ms,
                "at": self._at,
                "correlators": self._correlators,
            }
        return same | {
            "event": f"{self._subscription_id}.{self._numbers[0]}",
            "ms": self._ms[0],
            "at": self._at[0],
            "correlator": self._correlators[0],
        }
