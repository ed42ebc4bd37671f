"""Processes of the service are killed, or told to end, in mid-load."""

import os
import signal
from collections.abc import Callable, Sequence

from tests.chaos.processes import running
from tests.chaos.run import Run
from tests.valkeys import eventually

# Worker.stop; graceful_timeout of gunicorn.conf.py.
WORKER_GRACE_S = 15.0
API_GRACE_S = 30.0
ENDING = 15


def test_workers_and_the_api_are_killed(run: Run) -> None:
    """A worker, a process of gunicorn, gunicorn itself, another worker: each goes on where it was."""
    service = run.begin()
    run.inbox.plan(share=0.02, kinds=["500", "503", "cut"], delay_ms=[2, 20])
    api = service.start_api(workers=2)
    workers = [service.start_worker(number) for number in (1, 2)]
    channels = run.mixed(run.options.events)
    # Ended as a worker is killed: what was sent before an end may not come after it.
    ending = run.channels(ENDING * len(workers), run.options.events // 5, subscribers=None)
    to_end = run.subscribe(ending)
    load = run.publish([*channels, *ending], rate=run.options.events / 8)

    def kill_worker(number: int) -> None:
        run.terminate(to_end[number * ENDING : (number + 1) * ENDING])
        workers[number].kill()
        workers[number].start()

    def kill_gunicorn() -> None:
        forked = api.forked()
        api.kill()
        eventually(lambda: not running(forked), "what gunicorn started ends with it", API_GRACE_S)
        service.start_api()

    kills: Sequence[tuple[float, Callable[[], None]]] = (
        (0.15, lambda: kill_worker(0)),
        (0.35, lambda: os.kill(run.draw.choice(api.forked()), signal.SIGKILL)),
        (0.55, kill_gunicorn),
        (0.75, lambda: kill_worker(1)),
    )
    for share, kill in kills:
        load.wait_accepted(share)
        run.say(f"kills at {share:.0%}")
        kill()
    run.notes.append("4 kills")
    run.finish(failed=2)


def test_workers_and_the_api_are_told_to_end(run: Run) -> None:
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
