"""A simulation of workers that drain masters, in steps: claim, deliver, settle.

A master serves one call at a time. A worker works on one step at a time, on its share of a core, while a
master settles the one before and claims the next. Partitions are spread over masters as a cluster spreads
them, and over workers as home_partitions.py does.
"""

import random
from dataclasses import dataclass
from heapq import heappop, heappush

from redis.crc import key_slot

from webrtc_events.store.keys import Partition

__all__ = ["SLOTS", "Costs", "Simulated", "masters_of", "simulate"]

SLOTS = 16_384
# How much the work for a step varies: a gamma distribution of this shape, so by a quarter.
_SHAPE = 16


@dataclass(frozen=True)
class Costs:
    """Seconds of CPU for one delivery, of a worker and of a master; for an accepted event, of a master.

    `round_trip_s`: of the network, for each exchange with a master. `batch`: deliveries of one exchange.
    """

    worker_s: float
    store_s: float
    accept_s: float = 0.0
    round_trip_s: float = 0.0
    batch: int = 33


@dataclass(frozen=True)
class Simulated:
    """Deliveries a second, and how busy the busiest worker and the busiest master are: 1 is all the time."""

    per_s: float
    worker_busy: float
    store_busy: float

    @property
    def saturated(self) -> str:
        """What is busy first."""
        return "masters" if self.store_busy > self.worker_busy else "workers"


def masters_of(partitions: int, masters: int) -> list[int]:
    """Which master has each partition, if each has the same number of slots."""
    return [key_slot(Partition(number).due.encode()) * masters // SLOTS for number in range(partitions)]


def simulate(
    costs: Costs,
    *,
    workers: int,
    masters: int,
    share: float = 1.0,
    partitions: int = 64,
    seconds: float = 20.0,
    seed: int = 1,
) -> Simulated:
    """All outboxes are full all the time. `share`: of a core, for each worker.

    With `costs.accept_s`, each delivery is of an event that was accepted meanwhile, by the same master.
    """
    chance = random.Random(seed)
    homes = [
        [number for number in range(partitions) if number % workers == place] for place in range(workers)
    ]
    of_partition = masters_of(partitions, masters)
    free_at = [0.0] * masters
    master_busy, worker_busy = [0.0] * masters, [0.0] * workers
    exchange_s, accept_s = costs.batch * costs.store_s, costs.batch * costs.accept_s
    delivered = 0
    # When each worker asks next; they begin one after the other.
    asking = [(place * 1e-6, place) for place in range(workers)]
    while asking[0][0] < seconds:
        at, worker = heappop(asking)
        # Whoever has no home helps out somewhere.
        partition = chance.choice(homes[worker] or range(partitions))
        master = of_partition[partition]
        # The settle of the step before comes with the claim of this one, in the same exchange.
        begins = max(at + costs.round_trip_s / 2, free_at[master])
        answered = begins + exchange_s
        # The API's calls are between those of workers.
        free_at[master] = answered + accept_s
        master_busy[master] += exchange_s + accept_s
        work_s = costs.batch * costs.worker_s * chance.gammavariate(_SHAPE, 1 / _SHAPE)
        worker_busy[worker] += work_s / share
        delivered += costs.batch
        # What it has from the step before it works on meanwhile (docs/decisions/0025).
        heappush(asking, (max(answered + costs.round_trip_s / 2, at + work_s / share), worker))
    return Simulated(delivered / seconds, max(worker_busy) / seconds, max(master_busy) / seconds)
