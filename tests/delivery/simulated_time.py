"""A clock that stands still until it is moved, and a real store that goes by it."""

from collections.abc import Sequence
from typing import Any

from tests.delivery.deliveries import WaitedFor
from tests.harness.builders import with_claims
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.claims import ClaimRound, Claims
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.retries import Retries, WaitingRetry
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store

P = partition_of("r1", 64)


class SimulatedClock:
    """Stands still until it is moved. `started_s` is the store's time at its zero."""

    def __init__(self, started_s: float) -> None:
        self.started_s = started_s
        self.elapsed_s = 0.0

    def now(self) -> float:
        return self.started_s + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds


class SimulatedClaims(Claims):
    """The real claims, by the simulated clock's time."""

    store: Store
    settings: Settings
    clock: SimulatedClock
    claimed = 0

    def at(self) -> Store:
        offset_ms = round((self.clock.now() - SystemClock().now()) * 1000)
        return Store(self.store.client, self.settings, StoreOptions(offset_ms=offset_ms), shares=False)

    def claiming(self, partitions: Sequence[Partition], **limits: Any) -> ScriptStep[ClaimRound]:
        # Nothing is in the others.
        asked = [partition for partition in partitions if partition.number == P.number]
        step = self.at().claims.claiming(asked, **limits)

        def run() -> ClaimRound:
            found = step.run()
            self.claimed += len(found.claims)
            return found

        return WaitedFor(run)

    def settling(self, settlements: Sequence[Settlement]) -> ScriptStep[list[SettleOutcome]]:
        return self.at().claims.settling(settlements)


class SimulatedRetries(Retries):
    """The real ones, by the time of the claims."""

    claims: SimulatedClaims
    hastened = 0

    def hasten(self, retries: Sequence[WaitingRetry]) -> list[bool]:
        found = self.claims.at().retries.hasten(retries)
        self.hastened += sum(found)
        return found


def simulated(settings: Settings, clock: SimulatedClock) -> tuple[Store, SimulatedClaims]:
    """A store that goes by that clock in what dispatchers ask of it. Events come by `claims.at()`."""
    store = Store.connect(settings)
    claims = with_claims(store, SimulatedClaims)
    claims.store, claims.settings, claims.clock = store, settings, clock
    store.retries.__class__ = SimulatedRetries
    assert isinstance(store.retries, SimulatedRetries)
    store.retries.claims = claims
    return store, claims
