"""Processes of the service are killed or terminated in mid-load."""

import os
import signal
from collections.abc import Callable, Sequence

from tests.chaos.processes import running
from tests.chaos.run import EVENTS_PER_CLAIM, Run
from tests.harness.valkeys import eventually

# Worker.stop; graceful_timeout of gunicorn_conf.py.
WORKER_GRACE_S = 15.0
API_GRACE_S = 30.0
ENDING = 15
SLOW = 1


def test_workers_and_the_api_are_killed(run: Run) -> None:
    """A worker, a process of gunicorn, gunicorn itself, every worker: each goes on where it was."""
    service = run.begin(sinks=2)
    run.inbox.plan(share=0.02, kinds=["500", "503", "cut"], delay_ms=[2, 20])
    run.inbox.plan(SLOW, delay_ms=[150, 150])
    api = service.start_api(workers=2)
    workers = [service.start_worker(number) for number in (1, 2)]
    channels = run.mixed(run.options.events)
    # More than a claim, so that the last of them wait together with the end.
    ending = run.channels(ENDING, ENDING * (EVENTS_PER_CLAIM + 4))
    to_end = run.subscribe(ending, sink=SLOW)
    load = run.publish(channels, rate=run.options.events / 8)

    def kill_worker() -> None:
        workers[0].kill()
        workers[0].start()

    def kill_gunicorn() -> None:
        forked = api.forked()
        api.kill()
        eventually(lambda: not running(forked), "what gunicorn started ends with it", API_GRACE_S)
        service.start_api()

    def kill_workers() -> None:
        """While they send ends: what went out before an end may not come again after it."""
        run.publish(ending).wait()
        run.terminate(to_end)
        ids = {subscriber.id for subscriber in to_end}
        eventually(run.inbox.until(lambda: run.inbox.ends_under_way(ids) >= 2), "ends are under way", 20)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.start()

    kills: Sequence[tuple[float, Callable[[], None]]] = (
        (0.2, kill_worker),
        (0.4, lambda: os.kill(run.draw.choice(api.forked()), signal.SIGKILL)),
        (0.6, kill_gunicorn),
        (0.8, kill_workers),
    )
    for share, kill in kills:
        load.wait_accepted(share)
        run.say(f"kills at {share:.0%}")
        kill()
    run.notes.append("5 kills")
    # Of a subscription one worker at a time has a claim, so both together cost no more than one.
    run.finish(failed=2)


def test_workers_and_the_api_are_terminated(run: Run) -> None:
    """SIGTERM: what is under way ends and is settled, and they exit with 0 within their grace times."""
    service = run.begin()
    # Long enough that many deliveries are under way at any time.
    run.inbox.plan(delay_ms=[50, 500])
    api = service.start_api(workers=2)
    first = service.start_worker(1)
    events = run.options.events // 2
    load = run.publish(run.mixed(events), rate=events / 5)
    load.wait_accepted(0.3)
    service.start_worker(2)
    eventually(run.inbox.until(lambda: run.inbox.under_way > 10), "deliveries are under way", 20)
    under_way = run.inbox.under_way
    worker_s = first.terminate(WORKER_GRACE_S)
    first.start()
    load.wait_accepted(0.6)
    api_s = api.terminate(API_GRACE_S)
    service.start_api()
    run.notes.append(f"ended in {worker_s:.1f} s with {under_way} under way, the API in {api_s:.1f} s")
    # Nothing came twice: no claim was left behind.
    run.finish()
