"""Many workers, a short lease, and everything that can happen at once."""

from tests.chaos.dials import Dials
from tests.chaos.gateway import Channel
from tests.chaos.run import CLOCK, Run
from tests.chaos.service import Subscriber
from tests.harness.valkeys import eventually
from webrtc_events.core.clock import format_time

# Long enough that a worker which merely waits for a processor keeps it.
LEASE_MS = 5_000
EXCHANGE_MS = 1_000
SUBSCRIPTIONS = 200
SLOW = 1


def test_contention(run: Run) -> None:
    """4 workers, 200 subscriptions, four times the events of other scenarios.

    Sinks refuse, cut, hang and are slow; a worker is frozen beyond its lease, another killed; subscriptions
    reach their maximum, are deleted, expire, all in mid-load.
    """
    service = run.begin(sinks=2)
    run.inbox.plan(share=0.05, kinds=["500", "429", "cut", "never"], delay_ms=[0, 5])
    # The events of a claim take longer there than a lease.
    run.inbox.plan(SLOW, delay_ms=[600, 800])
    service.start_api()
    dials = run.directory / "dials"
    Dials(dials).close()
    workers = [
        service.start_turned_worker(number, dials, lease_ms=LEASE_MS, exchange_ms=EXCHANGE_MS)
        for number in range(1, 5)
    ]
    channels, to_delete = _subscribe(run)
    load = run.publish(channels, rate=4 * run.options.events / 8)
    load.wait_accepted(0.2)
    frozen = workers[0]
    frozen.freeze()
    run.say("worker-1 is frozen")
    frozen_at = CLOCK.monotonic()
    load.wait_accepted(0.4)
    workers[1].kill()
    workers[1].start()
    run.say("worker-2 is killed")
    load.wait_accepted(0.5)
    run.delete(to_delete)
    # Beyond its leases: others have what it held.
    CLOCK.sleep(max(0.0, frozen_at + 1.5 * LEASE_MS / 1000 - CLOCK.monotonic()))
    frozen.thaw()
    run.say("worker-1 goes on")
    eventually(lambda: "lease lost" in frozen.output, "a stale settle is refused", 10)
    run.finish(failed=2, late=True)


def _subscribe(run: Run) -> tuple[list[Channel], list[Subscriber]]:
    """All channels, with their subscriptions, and those subscriptions that are to be deleted."""
    # Events each, without those that expire, are deleted or slow, and half of those with a maximum.
    events_each = -(-4 * run.options.events // (SUBSCRIPTIONS - 40))
    plain = run.channels(110, 110 * events_each)
    run.subscribe(plain)
    slow = run.channels(10, 10 * 20)
    run.subscribe(slow, sink=SLOW)
    sessions = run.channels(20, 20 * events_each, "session-status", subscribers=2)
    run.subscribe(sessions)
    full = run.channels(20, 20 * events_each, subscribers=None)
    run.ends(run.subscribe(full, max_events=events_each // 2), "MAX_EVENTS_REACHED")
    deleted = run.channels(10, 10 * events_each, subscribers=None)
    to_delete = run.subscribe(deleted)
    expiring = run.channels(10, 10 * events_each, subscribers=None)
    until_s = CLOCK.now() + 6
    for channel in expiring:
        channel.until_s = until_s
    run.ends(run.subscribe(expiring, expires=format_time(round(until_s * 1000))), "SUBSCRIPTION_EXPIRED")
    return [*plain, *slow, *sessions, *full, *deleted, *expiring], to_delete
