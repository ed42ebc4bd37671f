"""While nothing can be listened to the store is known to be away, and what was missed is found."""

from tests.cluster.relays import HalvingRelay
from tests.delivery.conftest import LIMITS
from tests.delivery.deliveries import Make, sequence
from tests.delivery.store_loop.test_exchanges import path_of, relay, relayed, settled
from tests.delivery.test_store_thread import step_until
from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.harness.sinks import RecordingSink
from webrtc_events.core.errors import Unavailable
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.store import Store

__all__ = ["relay", "relayed"]


def test_what_cannot_be_listened_to_is_no_answer_of_a_store_that_is_away(
    relay: HalvingRelay, relayed: Store, valkey: Valkey, store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    clock = SteppedClock()
    driver = make_driver(
        relayed, options=DispatcherOptions(poll_s=0.7, limits=LIMITS), calls="in the loop", clock=clock
    )
    wakeups = relayed.claims.wakeups()
    driver.dispatcher.hear(wakeups)
    created(store, sink=sink.url)
    step_until(driver, lambda: wakeups.is_current and driver.dispatcher.idle)
    append(store, invitation(1))
    settled(driver, sink, 1)
    relay.target = 1
    driver.raw_store.client_kill_filter(skipme=True)

    def is_away() -> bool:
        # Whatever is tried again is due by now.
        clock.sleep(1)
        try:
            driver.dispatcher.step()
        except Unavailable:
            return True
        return False

    step_until(driver, is_away)
    append(store, invitation(2))
    relay.target = path_of(valkey)
    step_until(driver, lambda: clock.sleep(0.1) or len(sink.requests) == 2)
    settled(driver, sink, 2)
    assert sequence(sink.requests) == [1, 2]
    wakeups.close()
