"""Readers of notification channels read, acknowledge and come back, while what serves them is killed."""

import json
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence

from tests.chaos.channel_reader import ChannelReader
from tests.chaos.gateway import Channel
from tests.chaos.processes import running
from tests.chaos.run import CLOCK, Run
from tests.chaos.service import Service
from tests.chaos.verdict import Verdict
from tests.harness.channels import BASE
from tests.harness.valkeys import eventually

READERS = 8
LENGTH = 300
# Longer than who asks the store waits for its answer.
PAUSE_S = 8.0


def listening(run: Run, **settings: str) -> Service:
    """A service with two workers, whose API has two processes."""
    bounds = {"CHANNELS_URL": BASE, "CHANNEL_LENGTH": str(LENGTH), "OUTBOX_LENGTH": "5000"}
    service = run.begin(**bounds, **settings)
    service.start_api(workers=2)
    for number in (1, 2):
        service.start_worker(number)
    return service


def reader(
    run: Run, made: Mapping[str, str], take: Callable[[str, bytes, float], None], **options: bool
) -> ChannelReader:
    """Of a notification channel; not started yet."""
    url = f"{run.service.notification_channels}/{made['id']}"
    draw = random.Random(f"{run.seed}-{len(run.readers)}")
    run.readers.append(ChannelReader(url, made, take, draw, **options))
    return run.readers[-1]


def heard(run: Run, count: int, events: int, **options: bool) -> list[Channel]:
    """Notification channels with a reader each, of a registration's invitations, a session's statuses.

    They are in several partitions. `events` counts what is to be read; the subscriptions are made.
    """
    found = []
    for _ in range(count):
        started = reader(run, run.service.make_notification_channel(), run.inbox.read, **options)
        for kind in ("session-invitation", "session-status"):
            (channel,) = run.channels(1, events // (2 * count), kind)
            run.subscribe([channel], url=started.sink)
            found.append(channel)
        started.start()
    return found


def finish(run: Run) -> Verdict:
    """Each event once, in order, one end; no gap, nothing twice, whatever was killed."""
    verdict = run.finish(failed=0)
    assert verdict.repeated == 0
    assert [reader.counts.missed for reader in run.readers] == [[]] * len(run.readers)
    assert [reader.counts.ends for reader in run.readers] == [0] * len(run.readers)
    connections = sum(reader.counts.connections for reader in run.readers)
    acknowledged = sum(reader.counts.acknowledged for reader in run.readers)
    run.notes.append(f"{connections} connections, {acknowledged} acknowledgements")
    assert acknowledged > 0
    return verdict


def test_a_reader_misses_and_doubles_nothing_when_processes_are_killed(run: Run) -> None:
    service = listening(run)
    events = run.options.events // 4
    channels = heard(run, READERS // 2, events // 2) + heard(run, READERS // 2, events // 2, forgets=True)
    load = run.publish(channels, rate=events / 8)
    api, worker = service.processes["api"], service.processes["worker-1"]

    def kill_worker() -> None:
        worker.kill()
        worker.start()

    def kill_gunicorn() -> None:
        forked = api.forked()
        api.kill()
        eventually(lambda: not running(forked), "what gunicorn started ends with it", 30)
        service.start_api(workers=2)

    kills: Sequence[tuple[float, Callable[[], None]]] = (
        (0.2, kill_worker),
        (0.4, lambda: os.kill(run.draw.choice(api.forked()), signal.SIGKILL)),
        (0.6, kill_gunicorn),
        (0.8, kill_worker),
    )
    for share, kill in kills:
        load.wait_accepted(share)
        run.say(f"kills at {share:.0%}")
        kill()
    run.notes.append("4 kills")
    finish(run)
    assert sum(reader.counts.connections for reader in run.readers) > READERS


def test_a_reader_misses_and_doubles_nothing_when_the_store_is_killed_and_paused(run: Run) -> None:
    service = listening(run)
    events = run.options.events // 4
    channels = heard(run, READERS, events)
    load = run.publish(channels, rate=events / 6)
    load.wait_accepted(0.3)
    run.say("kills the store")
    run.valkey.kill()
    load.wait_refused(load.refused + 8)
    run.valkey.start()
    run.valkey.wait_ready()
    load.wait_accepted(0.6)
    run.say(f"pauses the store for {PAUSE_S:.0f} s")
    run.valkey.pause()
    CLOCK.sleep(PAUSE_S)
    run.valkey.resume()
    finish(run)
    assert service.tell_of_losses() == []


def test_a_reader_that_comes_too_late_is_told_what_it_missed_and_the_others_miss_nothing(run: Run) -> None:
    """The bound of a log is the one reason for a gap."""
    service = listening(run)
    events = run.options.events // 8
    channels = heard(run, READERS // 2, events)
    made = service.make_notification_channel()
    (flood,) = run.channels(1, 2 * LENGTH)
    service.subscribe(flood, url=made["sink"])
    load = run.publish([*channels, flood], rate=(events + flood.total) / 5)
    load.wait_accepted(0.5)
    run.say("kills a worker")
    worker = service.processes["worker-1"]
    worker.kill()
    worker.start()
    finish(run)

    numbers: list[int] = []
    late = reader(run, made, lambda *event: numbers.append(json.loads(event[1])["data"]["sequenceNumber"]))
    late.start()
    with run.client() as client:
        late.wait_read(client, 30)
    assert numbers == [*range(flood.total - LENGTH + 1, flood.total + 1)]
    assert late.counts.missed == [flood.total - LENGTH]
    run.notes.append(f"one missed {flood.total - LENGTH}, and was told so")
