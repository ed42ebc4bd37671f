"""What is done to the service in a round, by name, and what each may cost."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.gateway import Load
from tests.chaos.processes import Process, running
from tests.chaos.run import CLOCK, PARTITIONS
from tests.harness.valkeys import eventually
from tests.soak.neighbours import NEIGHBOURS, Neighbour
from tests.soak.rounds import Round
from webrtc_events.store.keys import Partition

__all__ = ["FAULTS", "Fault"]

_GRACE_S = 15.0
_PAUSE_S = 4.0
_NEIGHBOURS_S = 8.0


@dataclass(frozen=True)
class Fault:
    """What is done, and what it may cost.

    `doubles`: how many claims of one subscription may be delivered twice. `late`: also after its end.
    `unheard`: answers of the store are lost while it and the service go on.
    """

    name: str
    act: Callable[[Round, Load], None]
    doubles: int = 0
    late: bool = False
    unheard: bool = False


def worker_killed(run: Round, _: Load) -> None:
    run.mortal.kill()
    _begin(run.mortal)


def worker_ended(run: Round, _: Load) -> None:
    run.mortal.terminate(_GRACE_S)
    _begin(run.mortal)


def worker_frozen(run: Round, _: Load) -> None:
    run.mortal.freeze()
    CLOCK.sleep(_PAUSE_S)
    run.mortal.thaw()


def api_process_killed(run: Round, _: Load) -> None:
    """Not the first, whose memory is watched."""
    victim = run.api.forked()[-1]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not running([victim]) and len(run.api.forked()) == 2, "gunicorn has another", 30)


def store_killed(run: Round, load: Load) -> None:
    run.valkey.kill()
    load.wait_refused(load.refused + 4)
    run.valkey.start()
    run.valkey.wait_ready()


def store_paused(run: Round, _: Load) -> None:
    run.valkey.pause()
    CLOCK.sleep(_PAUSE_S)
    run.valkey.resume()


def scripts_forgotten(run: Round, _: Load) -> None:
    with run.client() as client:
        client.script_flush()


def connections_closed(run: Round, _: Load) -> None:
    """Those to the store, all at once."""
    with run.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)


def index_damaged(run: Round, _: Load) -> None:
    """The zset that says what is due, of some partitions, is a string all of a sudden."""
    with run.client() as client:
        for number in run.draw.sample(range(PARTITIONS), 4):
            pipe = client.pipeline()
            pipe.delete(Partition(number).due)
            pipe.set(Partition(number).due, "garbled")
            pipe.execute()


def entries_damaged(run: Round, _: Load) -> None:
    """An entry that nobody can read is in the outbox of some subscriptions."""
    with run.client() as client:
        for subscriber in run.draw.sample(run.subscribers, 3):
            partition = Partition(int(subscriber.id.rpartition("-")[2], 16))
            if client.rpushx(partition.outbox(subscriber.id), "garbled"):
                run.garbled += 1


def sinks_fail(run: Round, _: Load) -> None:
    run.inbox.plan(share=0.3, kinds=["500", "503", "429"], delay_ms=[0, 20])
    CLOCK.sleep(_PAUSE_S)
    run.healthy_sinks()


def sinks_unreachable(run: Round, _: Load) -> None:
    """Requests that are under way end without an answer."""
    run.inbox.plan(open=False)
    CLOCK.sleep(_PAUSE_S)
    run.healthy_sinks()


def _neighbour(name: str, neighbour: Neighbour) -> Fault:
    def act(run: Round, _: Load) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=neighbour, args=(run.service.url, run.neighbours_token, stop), name=name
        )
        thread.start()
        CLOCK.sleep(_NEIGHBOURS_S)
        stop.set()
        thread.join()

    return Fault(f"neighbour: {name}", act)


def _begin(worker: Process) -> None:
    worker.start()
    worker.wait_output("Delivering.")


FAULTS = (
    Fault("worker killed", worker_killed, doubles=1),
    Fault("worker terminated", worker_ended),
    Fault("worker frozen", worker_frozen, doubles=1),
    Fault("API process killed", api_process_killed),
    Fault("store killed", store_killed, doubles=2),
    Fault("store paused", store_paused, doubles=1),
    Fault("scripts forgotten", scripts_forgotten),
    Fault("connections to the store closed", connections_closed, doubles=1, unheard=True),
    Fault("index damaged", index_damaged, doubles=1),
    Fault("entries damaged", entries_damaged),
    Fault("sinks fail", sinks_fail),
    Fault("sinks unreachable", sinks_unreachable, doubles=1),
    *(_neighbour(name, cause) for name, cause in NEIGHBOURS.items()),
)
