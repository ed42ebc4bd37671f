"""A publisher as a process, whose minutes are short: `python -m tests.gateways.harness.hasty_publisher`."""

import sys
from pathlib import Path

from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.service_client import Access, ServiceClient

_FASTER = 200.0
_BEGUN_S = 1_800_000_000.0
_MAX_AGE_MS = 10**12


class HastyClock:
    """For it 200 seconds pass in each."""

    def __init__(self) -> None:
        self._clock = SystemClock()

    def now(self) -> float:
        return _BEGUN_S + self.monotonic()

    def monotonic(self) -> float:
        return self._clock.monotonic() * _FASTER

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds / _FASTER)


def main() -> None:
    queue, url, ca_file = sys.argv[1:]
    clock = HastyClock()
    client = ServiceClient(url, Access(None, f"{url}/token", "gateway"), clock, Path(ca_file))
    publisher = Publisher(Journal(Path(queue), clock), client, clock, _MAX_AGE_MS)
    while True:
        wait_s = publisher.send_head()
        clock.sleep(5.0 if wait_s is None else wait_s)


if __name__ == "__main__":
    main()
