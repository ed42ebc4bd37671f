"""The simulations of a process: started, watched and stopped by whoever has its interface."""

import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing

from webrtc_events.core.clock import Clock
from webrtc_events.local.demo.fresh_events import FreshEvents
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.demo.publisher import EventPublisher
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.simulation.call_copies import copies_of
from webrtc_events.local.simulation.player import Player, StopRequest
from webrtc_events.local.simulation.progress import Progress
from webrtc_events.local.simulation.request import SimulationRequest

__all__ = ["Simulations"]

_MAX_RUNNING = 4
_MAX_KEPT = 50
# For a service that is out of reach; whoever watches sees it meanwhile.
_GIVE_UP_S = 10.0


class Simulations:
    """`url` is the base of the gateway side, `client` makes an HTTP client whose token has its scope.

    At most 4 run at a time, and the last 50 are remembered. Any number of threads may use it.
    """

    def __init__(
        self,
        url: str,
        client: Callable[[], HttpClient],
        clock: Clock,
        stop_request: Callable[[], StopRequest] = threading.Event,
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._stop_request = stop_request
        self._lock = threading.Lock()
        self._players: dict[str, Player] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, request: SimulationRequest) -> str:
        """Returns the id of the simulation, which goes on in a thread.

        Raises:
            LocalError: as many run as may.
        """
        name = uuid.uuid4().hex[:12]
        copies = copies_of(request, uuid.uuid4())
        player = Player(name, request, copies, self._clock, self._stop_request())
        thread = threading.Thread(target=self._play, args=(player,), name=f"simulation {name}", daemon=True)
        with self._lock:
            running = [known for known in self._players.values() if not known.progress().state.over]
            if len(running) >= _MAX_RUNNING:
                raise LocalError(f"{_MAX_RUNNING} simulations are running; stop one, or wait for its end")
            self._players[name] = player
            self._threads[name] = thread
            self._forget()
        thread.start()
        return name

    def progress(self, name: str) -> Progress | None:
        """None for an id that is not known, or forgotten."""
        player = self._players.get(name)
        return None if player is None else player.progress()

    def stop(self, name: str) -> bool:
        """Asks a simulation to stop, without waiting for it; whether the id is known."""
        player = self._players.get(name)
        if player is not None:
            player.stop()
        return player is not None

    def wait(self, name: str, timeout_s: float) -> bool:
        """Waits for the end of a simulation, at most `timeout_s`; whether it is over."""
        thread = self._threads.get(name)
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def recent(self) -> list[Progress]:
        """Those that are remembered, the newest first."""
        with self._lock:
            players = list(self._players.values())
        return [player.progress() for player in reversed(players)]

    def close(self) -> None:
        """Asks all to stop."""
        with self._lock:
            players = list(self._players.values())
        for player in players:
            player.stop()

    def _play(self, player: Player) -> None:
        with ExitStack() as stack:

            def connect(clock: Clock) -> EventPublisher:
                client = stack.enter_context(closing(self._client()))
                renew = FreshEvents(self._clock).renew
                return EventPublisher(self._url, client, clock, renew, give_up_s=_GIVE_UP_S)

            player.run(connect)

    def _forget(self) -> None:
        """Of those that are over, the oldest."""
        for name in list(self._players):
            if len(self._players) <= _MAX_KEPT:
                return
            if self._players[name].progress().state.over:
                del self._players[name], self._threads[name]
