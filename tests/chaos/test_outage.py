"""A sink that is down for ten minutes, in which time is turned on."""

from tests.chaos.dials import Dials
from tests.chaos.run import PARTITIONS, Run
from tests.chaos.verdict import Attempt
from tests.harness.valkeys import eventually
from webrtc_events.store.keys import Partition

# Less than the 30 s after which a thread that did not come round counts as dead.
STEP_S = 10.0
WORKERS = 2
IN_FLIGHT = 64


def test_a_sink_is_down_for_ten_minutes(run: Run) -> None:
    """What is past its deadline is a dead letter; the rest comes in order, and not all at once.

    Deadlines are those of the settings: 120 s for an invitation, 600 s for a status.
    """
    path = run.directory / "dials"
    dials = run.enter(Dials(path))
    service = run.begin(SINK_IN_FLIGHT=str(IN_FLIGHT))
    run.inbox.plan(delay_ms=[50, 50])
    service.start_turned_api(path)
    for number in range(WORKERS):
        service.start_turned_worker(number + 1, path, lease_ms=30_000, exchange_ms=10_000)
    invitations = run.channels(150, 0)
    run.subscribe(invitations)
    sessions = run.channels(25, 0, "session-status", subscribers=2)
    run.subscribe(sessions)
    part = max(1, run.options.events // 1_000)

    def publish(what: str) -> None:
        run.say(f"publishes {what}")
        for channel in (*invitations, *sessions):
            channel.total += part
        run.publish([*invitations, *sessions], rate=run.options.events).wait()

    publish("before the outage")
    run.wait_delivered()
    run.inbox.plan(open=False)
    publish("what no sink will get")
    pass_time(run, dials, 300)
    publish("of which the statuses are in time")
    pass_time(run, dials, 290)
    publish("the newest")
    pass_time(run, dials, 20)
    before = len(run.inbox.attempts)
    run.inbox.plan(delay_ms=[50, 50])
    run.say("the sink is back")
    run.wait_delivered()
    run.inbox.refresh()
    _check_rate(run, run.inbox.attempts[before:])
    too_late = [(*invitations, *sessions), invitations]
    run.finish(
        dead={
            (subscriber.id, event): "deadline_exceeded"
            for subscriber in run.subscribers
            for number, channels in enumerate(too_late, start=1)
            for event in range(number * part + 1, (number + 1) * part + 1)
            if subscriber.channel in channels
        }
    )


def pass_time(run: Run, dials: Dials, seconds: float) -> None:
    run.say(f"{seconds:.0f} s pass")
    for _ in range(round(seconds / STEP_S)):
        dials.set(time_s=dials.time_s + STEP_S)
        eventually(lambda: nothing_is_due(run, dials), "nothing is due", 20)


def nothing_is_due(run: Run, dials: Dials) -> bool:
    with run.client() as client:
        seconds, micros = client.time()
        now_ms = (seconds + dials.time_s) * 1000 + micros // 1000
        pipe = client.pipeline(transaction=False)
        for number in range(PARTITIONS):
            pipe.zcount(Partition(number).due, "-inf", now_ms)
        return not any(pipe.execute())


def _check_rate(run: Run, attempts: list[Attempt]) -> None:
    """Each worker asks once, and then more and more as it is answered."""
    answered = min(attempt.answered for attempt in attempts if attempt.answered is not None)
    probes = sum(attempt.arrived < answered for attempt in attempts)
    in_a_second = sum(attempt.arrived_s < attempts[0].arrived_s + 1 for attempt in attempts)
    at_once = run.inbox.max_in_flight(attempts)
    run.notes.append(f"back with {probes} probes, {in_a_second} in the first second, {at_once} at once")
    assert probes <= WORKERS
    assert at_once <= WORKERS * IN_FLIGHT
