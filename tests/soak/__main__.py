"""Rounds of load and faults for as long as is asked; then what was lost, doubled, or grew. See `make soak`.

The faults are drawn by the seed, a few a round, so that each comes by again and again. A round ends when all
is delivered and settled: then the memory of the service is looked at, of processes that nothing was done to.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.chaos.inbox import Inbox
from tests.chaos.run import CLOCK, Options
from tests.chaos.service import SCOPES, Service
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import ValkeyServer
from tests.soak.faults import FAULTS, Fault
from tests.soak.growth import Growth
from tests.soak.rounds import Round, figures_of
from tests.soak.subscribing import subscribe

_FAULTS_A_ROUND = 3
# After such a pause the store has forgotten what it keeps for a while (see below). Then it is measured.
_ROUNDS_BETWEEN_PAUSES = 8
_PAUSE_S = 130
# Idle subscriptions: an empty store would seem to grow by every byte.
_IDLE_CLIENTS = 10
_IDLE_OF_A_CLIENT = 300
# Whatever is kept for a while is kept briefly, so that all bounds are reached within the first rounds.
_SETTINGS = {
    "RETENTION_S": "30",
    "DEDUPE_WINDOW_S": "120",
    "STATE_S": "120",
    "ATTEMPTS": "100",
    "DEAD_LETTERS": "100",
    "SUBSCRIPTION_ENDED_DEADLINE_S": "60",
    "MAX_SUBSCRIPTIONS": "0",
}


@dataclass
class Totals:
    rounds: int = 0
    accepted: int = 0
    delivered: int = 0
    ends: int = 0
    doubled: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Soak:
    """A context: the service, for all rounds."""

    def __init__(self, stack: ExitStack, directory: Path, options: argparse.Namespace) -> None:
        # Connections to sinks come and go.
        self.growth = Growth({"descriptors": 32.0})
        self.totals = Totals()
        self._options = options
        self._stack = stack
        self._directory = directory
        self._started = CLOCK.monotonic()
        self._faults = _drawn(random.Random(options.seed))
        self._issuer = Issuer(SigningKeyPair.rsa("k1"))
        stack.callback(self._issuer.close)
        self._inbox = stack.enter_context(Inbox(directory, str(options.seed)))
        self._valkey = stack.enter_context(ValkeyServer(directory / "store"))
        self._service = Service(directory, self._valkey.url, self._issuer, self._inbox, _SETTINGS)
        stack.callback(self._service.stop)
        self._neighbours_token = self._issuer.token(
            CLOCK.now(), scope=SCOPES, exp=CLOCK.now() + 86_400, client_id="neighbour"
        )
        self._api = self._service.start_api(workers=2)
        self._first_forked = self._api.forked()[0]
        self._steady = self._service.start_worker(1)
        self._service.start_worker(2)
        self._make_idle_subscriptions()

    @property
    def elapsed_s(self) -> float:
        return CLOCK.monotonic() - self._started

    def run(self) -> None:
        """Until the time is over.

        Raises:
            AssertionError: something was lost, out of order, wrong, or doubled without a cause.
        """
        while self.elapsed_s < self._options.minutes * 60:
            faults = [next(self._faults) for _ in range(_FAULTS_A_ROUND)]
            try:
                self._round(faults)
            except (AssertionError, TimeoutError) as error:
                named = ", ".join(fault.name for fault in faults)
                raise AssertionError(f"round {self.totals.rounds + 1}, {named}: {error}") from error

    def _round(self, faults: list[Fault]) -> None:
        number = self.totals.rounds + 1
        options = Options(self._options.seed, self._options.events)
        with Round(f"round-{number}", options, self._directory, self._issuer, _quiet) as run:
            run.join(self._service, self._inbox, self._valkey, self._neighbours_token)
            unheard = any(fault.unheard for fault in faults)
            load = run.publish(
                run.mixed(options.events, devices=False), rate=self._options.rate, unheard=unheard
            )
            for at, fault in enumerate(faults, start=1):
                load.wait_accepted(at / (_FAULTS_A_ROUND + 2))
                fault.act(run, load)
            verdict = run.finish(
                failed=sum(fault.doubles for fault in faults), late=any(fault.late for fault in faults)
            )
            damaged = run.damaged_entries()
            assert damaged == run.garbled, f"{damaged} entries were found damaged, not {run.garbled}"
            run.forget_all()
        totals, causes = self.totals, [fault.name for fault in faults if fault.doubles]
        totals.rounds += 1
        totals.accepted += verdict.accepted
        totals.delivered += verdict.delivered
        totals.ends += verdict.ends
        totals.doubled += verdict.doubled
        totals.faults.update(fault.name for fault in faults)
        if verdict.doubled:
            assert causes, f"{verdict.doubled} were taken twice, and nothing explains it"
            totals.causes[" + ".join(sorted(causes))] += verdict.doubled
        values = self._measure()
        if totals.rounds % _ROUNDS_BETWEEN_PAUSES == 0:
            CLOCK.sleep(_PAUSE_S)
            values |= self._measure_store()
        self.growth.add(self.elapsed_s, values)
        memory = ", ".join(f"{name} {value:.0f}" for name, value in values.items() if "MB" in name)
        named = ", ".join(fault.name for fault in faults)
        print(
            f"{self.elapsed_s / 60:5.1f} min  round {number}: {verdict.figures()}; {named}; {memory}",
            flush=True,
        )

    def _measure(self) -> dict[str, float]:
        pids = {"worker": self._steady.pid, "gunicorn": self._api.pid, "API": self._first_forked}
        return {
            f"{name}, {what}": value for name, pid in pids.items() for what, value in figures_of(pid).items()
        }

    def _measure_store(self) -> dict[str, float]:
        with self._valkey.client() as client:
            memory = client.info("memory")
        # Without what connections need, and what an allocator holds back.
        return {"store, MB of data": memory["used_memory_dataset"] / 1024 / 1024}

    def _make_idle_subscriptions(self) -> None:
        """Makes subscriptions for which no event comes."""
        for client in range(_IDLE_CLIENTS):
            token = self._issuer.token(
                CLOCK.now(), scope=SCOPES, exp=CLOCK.now() + 600, client_id=f"idle-{client}"
            )
            with requests.Session() as session:
                for number in range(_IDLE_OF_A_CLIENT):
                    name = f"{client}-{number}"
                    answer = subscribe(
                        self._service.public,
                        token,
                        f"idle-{name}",
                        f"https://sink.example/{name}",
                        session=session,
                    )
                    assert answer.status_code == 201, answer.text


def _drawn(draw: random.Random) -> Iterator[Fault]:
    """All of them, again and again, each time in another order."""
    while True:
        yield from draw.sample(FAULTS, len(FAULTS))


def _quiet(_: str) -> None:
    """A line a round is enough."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; the last round is completed")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="repeats the faults of a run"
    )
    parser.add_argument("--events", type=int, default=6_000, help="events to be delivered in a round")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second from the gateway")
    options = parser.parse_args()
    print(f"soak: --minutes {options.minutes:g} --seed {options.seed} --events {options.events}", flush=True)
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="soak-"))
        print(f"logs: {directory}", flush=True)
        soak = Soak(stack, directory, options)
        try:
            soak.run()
        except AssertionError as error:
            print(error, file=sys.stderr)
            _tell(soak)
            return 1
        return 1 if _tell(soak) else 0


def _tell(soak: Soak) -> int:
    """Prints what came of it; returns how many things grew too much."""
    totals = soak.totals
    print(
        f"{totals.rounds} rounds well, {soak.elapsed_s / 60:.0f} min: accepted {totals.accepted}, delivered "
        f"{totals.delivered}, ends {totals.ends}, lost 0, disordered 0, doubled {totals.doubled}"
    )
    for name, count in totals.faults.most_common():
        print(f"  {count:4} x {name}")
    for name, count in totals.causes.most_common():
        print(f"  {count:4} doubled by {name}")
    grown = 0
    print(f"{'':<24}{'median':>10}{'highest':>10}{'rise':>9}{'an hour':>10}")
    for trend in soak.growth.trends():
        grown += trend.too_much
        print(
            f"{trend.name:<24}{trend.median:>10.1f}{trend.highest:>10.1f}{trend.percent:>8.2f}%"
            f"{trend.percent_an_hour:>9.2f}%{'  too much' if trend.too_much else ''}"
        )
    return grown


if __name__ == "__main__":
    sys.exit(main())
