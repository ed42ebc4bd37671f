"""What the receiver of an adapter has counted since the process started."""

from dataclasses import dataclass

__all__ = ["ReceiverFigures"]


@dataclass(slots=True)
class ReceiverFigures:
    """What the gateway said, by what became of it. `lost`: it had no room for them, and says so.

    `reconnects`: connections to the gateway that were made again, where the adapter makes them. `heard_s`:
    when it answered last, monotonic, or the adapter's start; None: the adapter does not ask, it is called.
    """

    taken: int = 0
    repeated: int = 0
    damaged: int = 0
    lost: int = 0
    reconnects: int = 0
    heard_s: float | None = None
