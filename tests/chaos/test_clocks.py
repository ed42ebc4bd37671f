"""Hosts whose clocks are wrong."""

from collections import defaultdict
from itertools import pairwise

from tests.chaos.dials import Dials
from tests.chaos.run import CLOCK, Run

HOUR_S = 3600.0
# An HTTP date has whole seconds: one that is 2 s ahead may be a second nearer when it is written.
LEAST_PAUSE_S = 1.0


def test_the_wall_clock_of_a_worker_jumps_an_hour(run: Run) -> None:
    """Forward, back, and back again: no delivery comes sooner, later, twice or not at all."""
    service = run.begin()
    # The only thing that a sink says in wall-clock time.
    run.inbox.plan(share=0.02, kinds=["429", "503"], headers=["Retry-After: {in_2_s}"], delay_ms=[2, 20])
    service.start_api()
    path = run.directory / "dials"
    dials = run.enter(Dials(path))
    service.start_turned_worker(1, path, lease_ms=30_000, exchange_ms=10_000)
    events = run.options.events // 5
    load = run.publish(run.mixed(events), rate=events / 6)
    for share, jump_s in ((0.2, HOUR_S), (0.5, -HOUR_S), (0.8, 0.0)):
        load.wait_accepted(share)
        run.say(f"the clock is {jump_s:+.0f} s off")
        dials.set(wall_s=jump_s)
    load.wait()
    accepted_at = CLOCK.monotonic()
    run.wait_delivered()
    took_s = CLOCK.monotonic() - accepted_at
    verdict = run.finish()
    assert verdict.doubled == verdict.given_up == 0
    pauses = _pauses(run)
    run.notes.append(f"{len(pauses)} refused, sent again after {min(pauses):.1f} to {max(pauses):.1f} s")
    assert min(pauses) >= LEAST_PAUSE_S
    assert took_s < 30


def _pauses(run: Run) -> list[float]:
    """From each attempt that was refused to the next one, in s.

    The sink writes the date after the attempt has arrived, and notes its answer a moment after that.
    """
    by_event = defaultdict(list)
    for attempt in run.inbox.attempts:
        by_event[attempt.subscription, attempt.number].append(attempt)
    return [
        again.arrived_s - refused.arrived_s
        for attempts in by_event.values()
        for refused, again in pairwise(attempts)
        if refused.answered_s is not None
    ]
