"""The sweeper: does what time does in every partition when it is due, in turns with other workers."""

import secrets

from webrtc_events.core.clock import Clock
from webrtc_events.store.keys import SWEEPER_TURN
from webrtc_events.store.redis.scripts import store_errors
from webrtc_events.store.store import Store
from webrtc_events.store.sweep_schedule import SweepSchedule

__all__ = ["Sweeper"]

_ROUND_S = 1.0
# A turn ends before the round is over: whoever had it gets it again, unless another was waiting.
_TURN_MS = 900
_LIMIT = 100


class Sweeper:
    """For one thread. `rounds`: how many it made in its turns."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._schedule = SweepSchedule(store.partitions, _ROUND_S)
        self._name = secrets.token_hex(8)
        self._has_more = False
        self.rounds = 0

    def step(self) -> float:
        """One round. Returns for how long there is nothing to do, s.

        Raises:
            Unavailable: no partition can be reached.
        """
        # Who is at work goes on; another joins in when the turn is over.
        if not self._has_more and (wait_s := self._wait_for_turn_s()) > 0:
            return wait_s
        expiry = self._store.expiry
        looks = expiry.look()
        self.rounds += 1
        numbers = self._schedule.due(looks, self._clock.monotonic())
        self._has_more = False
        swept = expiry.sweep_some(numbers, _LIMIT, self._clock)
        clock_was_set = self._schedule.swept({number: swept.ahead_ms.get(number) for number in numbers})
        self._has_more = swept.count > 0 or clock_was_set
        return 0.0 if self._has_more else _ROUND_S

    def _wait_for_turn_s(self) -> float:
        """0: this one has the turn. Else for how long another has it.

        The turn is a hint, which spares the store the looks of all workers but one. Where it cannot be had,
        whoever wants it sweeps. One that lasts too long is damaged, or the store's clock went back.
        """
        with store_errors():
            pipe = self._store.client.pipeline()
            pipe.set(SWEEPER_TURN, self._name, nx=True, px=_TURN_MS)
            pipe.pttl(SWEEPER_TURN)
            taken, left_ms = pipe.execute(raise_on_error=False)
            if taken is None and isinstance(left_ms, int) and 0 <= left_ms <= _TURN_MS:
                return (left_ms + 1) / 1000
            if taken is None:
                pipe.set(SWEEPER_TURN, self._name, px=_TURN_MS)
                pipe.execute(raise_on_error=False)
        return 0.0
