"""One run: a load, whatever the scenario does to the service meanwhile, and the verdict."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from tests.chaos.channel_reader import ChannelReader
from tests.chaos.dead_letters import by_event, dead_letter_fields
from tests.chaos.expectations import Expectations
from tests.chaos.gateway import LEAST_PER_S, Channel, Load, LoadOptions
from tests.chaos.inbox import Inbox
from tests.chaos.service import Service, Subscriber
from tests.chaos.subscribing import Subscribing
from tests.chaos.verdict import Verdict, check_deliveries
from tests.harness.issuer import Issuer
from tests.harness.valkeys import ValkeyServer, eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.store.keys import Partition

__all__ = ["CLOCK", "EVENTS_PER_CLAIM", "PARTITIONS", "Options", "Run"]

CLOCK = SystemClock()
PARTITIONS = 64
# A lease of the default length, and the longest delay between attempts that scenarios run into.
_SETTLED_S = 90.0
_TICK_S = 3.0
EVENTS_PER_CLAIM = DispatcherOptions().events_per_claim


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    seed: int
    events: int


class Run(Subscribing):
    """A context; `say` shows a line at once. What a process must not log is checked at the end."""

    def __init__(
        self, name: str, options: Options, directory: Path, issuer: Issuer, say: Callable[[str], None]
    ) -> None:
        self.name = name
        self.options = options
        self.seed = f"{options.seed}-{name}"
        self.draw = random.Random(self.seed)
        self.directory = directory
        self.verdict: Verdict | None = None
        self.notes: list[str] = []
        super().__init__(issuer, self.draw)
        self._say = say
        self._stack = ExitStack()
        self._started = CLOCK.monotonic()
        self.readers: list[ChannelReader] = []
        self._loads: list[Load] = []
        self._expectations = Expectations()

    # What it runs on

    def begin(self, *, store: str | None = None, sinks: int = 1, **settings: str) -> Service:
        """The sinks, a store unless the URL of one is given, and the service, with nothing started.

        It serves both versions of the public contract, if no setting says otherwise.
        `valkey` is the server that is looked at; set it where the store has several.
        """
        self.inbox = self._stack.enter_context(Inbox(self.directory, self.seed, sinks))
        if store is None:
            self.valkey = self.enter(ValkeyServer(self.directory / "store"))
            store = self.valkey.url
        self.service = Service(self.directory, store, self.issuer, self.inbox, {"NEXT": "true", **settings})
        self._stack.callback(self.service.stop)
        return self.service

    def client(self) -> "redis.Redis":
        """To look into the store."""
        client: redis.Redis = self.valkey.client()
        return client

    def enter(self, context: Any) -> Any:
        """A context that ends with the run."""
        return self._stack.enter_context(context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for load in self._loads:
            load.stop()
        for reader in self.readers:
            reader.stop()
        self._stack.close()

    def say(self, text: str) -> None:
        self._say(f"{self.elapsed_s:6.1f} s  {self.name}: {text}")

    @property
    def elapsed_s(self) -> float:
        return CLOCK.monotonic() - self._started

    # What comes in

    def publish(self, channels: Sequence[Channel], **options: Any) -> Load:
        """Starts to publish all that is left of the channels' events, and to say how far it is."""
        load = Load(self.service.url, self.service.token, channels, self.seed, LoadOptions(**options))
        self._loads.append(load)
        if len(self._loads) == 1:
            ticker = self._stack.enter_context(ThreadPoolExecutor(1))
            stopped = threading.Event()
            ticker.submit(self._tick, stopped)
            self._stack.callback(stopped.set)
        load.start()
        return load

    # What is done to it

    def ends(self, subscribers: Iterable[Subscriber], *reasons: str, dropped: bool = False) -> None:
        """Notes that these are to end with one of these reasons, what is pending `dropped` or not."""
        self._expectations.end(subscribers, reasons, dropped=dropped)

    def delete(self, subscribers: Sequence[Subscriber]) -> None:
        """As their owner does."""
        self.ends(subscribers, "SUBSCRIPTION_DELETED", dropped=True)
        answers = self.service.together(self.service.delete, subscribers)
        assert {answer.status_code for answer in answers} <= {204}, {answer.text for answer in answers}

    def terminate(self, subscribers: Sequence[Subscriber]) -> None:
        """As the operator does."""
        self.ends(subscribers, "NETWORK_TERMINATED")
        answers = self.service.together(lambda subscriber: self.service.terminate(subscriber.id), subscribers)
        assert {answer.status_code for answer in answers} <= {204}, {answer.text for answer in answers}

    def forget(self, subscribers: Iterable[Subscriber]) -> None:
        """Notes that the store has lost these: nothing more has to come of them."""
        self._expectations.lose(subscribers)

    # What came of it

    def finish(
        self,
        *,
        failed: int = 0,
        late: bool = False,
        twins: bool = False,
        dead: Mapping[tuple[str, int], str] | None = None,
    ) -> Verdict:
        """Waits until all is delivered, ends what is not to end yet, and checks the deliveries.

        Of each subscription, a claim of each process that `failed` may be doubled. `late` repeats
        after an end are for runs that froze a process. `twins` are for runs in which the store lost
        what it had not accepted, and what came again got a new id. `dead` are all the dead letters
        that there are to be, as `dead_letters` has them.

        Raises:
            AssertionError: the verdict is not clean.
            TimeoutError: something is still under way after the longest time it may take.
        """
        for load in self._loads:
            load.wait()
            self.say(f"all {load.accepted} events are accepted; {load.figures()}")
        try:
            self.wait_delivered()
            self._end_all()
            self.wait_settled()
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.check().details()}") from error
        verdict = self.check()
        assert verdict.clean, verdict.details()
        found = self.dead_letters()
        assert found == (dead or {}), f"{len(found)} dead letters, {sorted(Counter(found.values()).items())}"
        max_doubled = failed * EVENTS_PER_CLAIM
        assert verdict.max_doubled <= max_doubled, f"{verdict.max_doubled} of a subscription were taken twice"
        assert twins or not verdict.twins, verdict.details()
        assert late or not verdict.late, f"{verdict.late} repeats came after an end"
        for process in self.service.processes.values():
            assert "Traceback" not in process.log.read_text(errors="replace"), (
                f"{process.name} logged a traceback"
            )
        return verdict

    def wait_delivered(self) -> None:
        """Returns once every event of subscriptions that still take events was taken by its sink."""
        timeout_s = (
            _SETTLED_S + sum(subscriber.channel.appended for subscriber in self.subscribers) / LEAST_PER_S
        )
        left = {
            subscriber.id: subscriber
            for subscriber in self.subscribers
            if not self._expectations.may_miss_events(subscriber)
        }

        def delivered() -> bool:
            dead = self.dead_letters()
            for subscriber in list(left.values()):
                due = (
                    subscriber.channel.appended
                    if subscriber.max_events is None
                    else min(subscriber.channel.appended, subscriber.max_events)
                )
                taken = self.inbox.taken.get(subscriber.id, set())
                if all(event in taken or (subscriber.id, event) in dead for event in range(1, due + 1)):
                    del left[subscriber.id]
            return not left

        eventually(self.inbox.until(delivered), "all is delivered", timeout_s, every_s=0.5)

    def wait_settled(self) -> None:
        """Returns once no subscription is due any more, now or after a lease or a delay."""
        with self.client() as client:

            def settled() -> bool:
                pipe = client.pipeline(transaction=False)
                for number in range(PARTITIONS):
                    pipe.exists(Partition(number).due)
                return not any(pipe.execute())

            eventually(settled, "all is settled", _SETTLED_S, every_s=0.5)
            for reader in self.readers:
                reader.wait_read(client, _SETTLED_S)
        self.inbox.refresh()

    def check(self) -> Verdict:
        self.inbox.refresh()
        self.verdict = check_deliveries(
            map(self._expectations.of, self.subscribers), self.inbox.attempts, self.dead_letters()
        )
        self.say(self.figures())
        return self.verdict

    def figures(self) -> str:
        """The line that a run leaves."""
        assert self.verdict is not None
        heard = {attempt.subscription for attempt in self.inbox.attempts} & self.strangers
        strangers = [f"heard by {len(heard)} of {len(self.strangers)} strangers"] if self.strangers else []
        return "; ".join([self.verdict.figures(), *strangers, *self.notes, f"{self.elapsed_s:.0f} s"])

    def dead_letters(self) -> dict[tuple[str, int], str]:
        """The reason of each, by subscription and event."""
        return by_event(self.dead_letter_fields())

    def dead_letter_fields(self) -> list[Mapping[str, str]]:
        """The fields of all dead letters."""
        with self.client() as client:
            return dead_letter_fields(client, PARTITIONS)

    def _end_all(self) -> None:
        """What is still active is ended, by its owner or by the operator; each is to end once."""
        left = [subscriber for subscriber in self.subscribers if not self._expectations.is_to_end(subscriber)]
        by_owner = [subscriber for subscriber in left if self.draw.random() < 0.5]
        self.delete(by_owner)
        self.terminate([subscriber for subscriber in left if subscriber not in by_owner])

    def _tick(self, stopped: threading.Event) -> None:
        while not stopped.wait(_TICK_S):
            self.inbox.refresh()
            accepted = sum(load.accepted for load in self._loads)
            total = sum(load.total for load in self._loads)
            taken = sum(map(len, list(self.inbox.taken.values())))
            self.say(f"accepted {accepted}/{total}, taken by sinks {taken}, {self._loads[-1].figures()}")
