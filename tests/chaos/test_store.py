"""The store is killed, replaced, paused, emptied, filled, or loses its scripts, in mid-load."""

from typing import Any

from tests.chaos.run import CLOCK, Run
from tests.chaos.service import Service
from tests.harness.sentinels import sentinel
from tests.harness.valkeys import ValkeyServer, eventually

# Beyond the 30 s after which a thread that hangs counts as dead.
PAUSE_S = 33.0


def delivering(run: Run, *, workers: int = 2, **begin: Any) -> Service:
    """The API and this number of workers, with a sink that answers well. For `options` see `Run.begin`."""
    service = run.begin(**begin)
    run.inbox.plan(delay_ms=[2, 20])
    service.start_api()
    for number in range(1, workers + 1):
        service.start_worker(number)
    return service


def test_the_store_is_killed_and_comes_back(run: Run) -> None:
    """Synced at every write: what was accepted is there again."""
    service = delivering(run)
    events = run.options.events // 2
    load = run.publish(run.mixed(events), rate=events / 6)
    for share in (0.3, 0.6):
        load.wait_accepted(share)
        run.say(f"kills the store at {share:.0%}")
        run.valkey.kill()
        load.wait_refused(load.refused + 8)
        assert not service.ready()
        run.valkey.start()
        run.valkey.wait_ready()
    # What a sink took while its settle could not be written may be sent again.
    run.finish(failed=2)
    assert service.tell_of_losses() == []


def test_a_replica_takes_over(run: Run) -> None:
    """The master is killed; what was accepted had been waited for, so that the replica has it."""
    master = run.enter(ValkeyServer(run.directory / "master"))
    replica = run.enter(ValkeyServer(run.directory / "replica", replica_of=master))
    watching = run.enter(sentinel(run.directory / "sentinel", master, replica))
    delivering(run, store=watching.url, ACK_REPLICAS="1")
    run.valkey = replica
    events = run.options.events // 5
    load = run.publish(run.mixed(events), rate=events / 6)
    load.wait_accepted(0.4)
    run.say("the replica falls behind, and the master is killed")
    refused, accepted = load.refused, load.accepted
    with replica.client() as behind, master.client() as ahead:
        # What the master has sent and the replica not read yet would still arrive, so it is cut off.
        behind.config_set("masterauth", "that the master does not know")
        ahead.client_kill_filter(_type="replica")
        # Without a replica that holds it nothing is accepted; whatever was would be lost now.
        eventually(lambda: load.refused >= refused + 10 or load.accepted > accepted + 100, "refused", 20)
        killed_at = CLOCK.monotonic()
        master.kill()
        behind.config_set("masterauth", "")
    eventually(lambda: watching.master_port() == replica.port, "the replica is the master", 30)
    run.notes.append(f"taken over in {CLOCK.monotonic() - killed_at:.1f} s")
    # Nothing is accepted while there is no second one to hold it.
    refused, accepted = load.refused, load.accepted
    load.wait_refused(refused + 10)
    assert load.accepted == accepted
    run.say("the former master comes back")
    master.start()
    # What was sent and settled on the former master alone is sent again, what was refused there under
    # a new id.
    run.finish(failed=4, twins=True)


def test_the_store_is_paused(run: Run) -> None:
    service = delivering(run)
    events = run.options.events // 5
    load = run.publish(run.mixed(events), rate=events / 4)
    load.wait_accepted(0.5)
    run.say(f"pauses the store for {PAUSE_S:.0f} s")
    run.valkey.pause()
    CLOCK.sleep(PAUSE_S)
    run.valkey.resume()
    run.finish(failed=1)
    assert service.tell_of_losses() == []


def test_the_store_forgets_its_scripts(run: Run) -> None:
    """SCRIPT FLUSH: nothing is lost, and nothing is even repeated."""
    delivering(run, workers=1)
    events = run.options.events // 5
    load = run.publish(run.mixed(events), rate=events / 3)
    with run.client() as client:
        for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            load.wait_accepted(share)
            client.script_flush()
    run.notes.append("7 flushes")
    verdict = run.finish()
    assert load.refused == 0
    assert verdict.repeated == 0


def test_the_store_is_emptied(run: Run) -> None:
    """FLUSHALL: what was stored is gone, and what comes after works, with nothing started again."""
    service = run.begin()
    run.inbox.plan(delay_ms=[2, 20])
    processes = [service.start_api(), service.start_worker(1)]
    events = run.options.events // 5
    before = run.channels(50, events, subscribers=None)
    gone = run.subscribe(before)
    load = run.publish(before, rate=events / 3)
    load.wait_accepted(0.5)
    with run.client() as client:
        client.flushall()
    run.forget(gone)
    load.wait()
    answers = service.together(service.get, gone)
    assert {answer.status_code for answer in answers} == {404}
    eventually(lambda: len(service.tell_of_losses()) == len(processes), "every process logs it", 30)
    after = run.channels(50, events)
    run.subscribe(after)
    run.publish(after, rate=events / 3)
    run.notes.append(f"{len(gone)} subscriptions gone and reported so")
    run.finish()


def test_the_store_is_full(run: Run) -> None:
    """The gateway gets 503, workers go on draining, and then accepting resumes."""
    service = run.begin()
    run.inbox.plan(share=1.0, kinds=["503"])
    service.start_api()
    worker = service.start_worker(1)
    events = run.options.events // 5
    channels = run.mixed(events)
    load = run.publish(channels, rate=events, padding="x" * 8_000)
    load.wait_accepted(0.5)
    with run.client() as client:
        # Without the buffers of connections, which come and go: well above its watermark from now on, so that
        # not even a subscription fits, until the outboxes are emptied.
        used = client.info("memory")
        limit = used["used_memory_startup"] + round(0.95 * used["used_memory_dataset"])
        client.config_set("maxmemory", limit)
    load.wait_refused(20)
    accepted = load.accepted
    run.say(f"full at {accepted} of {load.total} events")
    assert accepted < load.total
    assert service.try_to_subscribe(channels[0]).status_code == 503
    # Attempts go on to be made and written down all the while.
    made = len(run.inbox.attempts)
    eventually(run.inbox.until(lambda: len(run.inbox.attempts) > made + 50), "attempts go on", 20)
    assert load.accepted == accepted
    run.inbox.plan(delay_ms=[0, 5])
    run.notes.append(f"full at {accepted} events")
    run.finish()
    assert worker.running
