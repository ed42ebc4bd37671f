"""How long the service has refused the registration at the head of a queue, and which it refuses anyway."""

from collections import OrderedDict
from typing import Final

from webrtc_events.core.clock import Clock

__all__ = ["Refusals"]

_MIN_TRIES: Final = 5
_MIN_S: Final = 60.0
_MAX_KNOWN: Final = 10_000


class Refusals:
    """For one thread. A registration that was set aside need not be refused for long again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._head = ""
        self._tries = 0
        self._since_s = 0.0
        self._known: OrderedDict[str, None] = OrderedDict()

    def is_lasting(self, registration_id: str) -> bool:
        """Called with each refusal: whether it has been so for long enough to be no accident."""
        if registration_id in self._known:
            return True
        now_s = self._clock.monotonic()
        if registration_id != self._head:
            self._head, self._tries, self._since_s = registration_id, 0, now_s
        self._tries += 1
        return self._tries >= _MIN_TRIES and now_s - self._since_s >= _MIN_S

    def set_aside(self, registration_id: str) -> None:
        self._known[registration_id] = None
        self._known.move_to_end(registration_id)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def taken(self, registration_id: str | None) -> None:
        """None: a request of no registration."""
        if registration_id is not None:
            self._known.pop(registration_id, None)
            self._head = ""
