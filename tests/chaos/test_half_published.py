"""Subscriptions to devices: what kills between the steps of a publication, and of a registration's end."""

from tests.chaos.gateway import OF_A_DEVICE
from tests.chaos.run import CLOCK, Run
from webrtc_events.core.clock import format_time

DEVICES = 60
# From the moment at which all is made.
FIRST_END_S, LAST_END_S = 3.0, 8.0
KILLS = 4


def test_the_api_dies_between_the_partitions_of_registration_and_device(run: Run) -> None:
    """Again and again, when an event is in the outboxes of 0.2 and not yet in those of 0.3."""
    service = run.begin()
    run.inbox.plan(delay_ms=[2, 20])
    died = run.directory / "deaths"
    service.start_mortal_api(died)
    service.start_worker(1)
    events = run.options.events // 5
    channels = run.of_devices(10, events // 2, subscribers=2)
    channels += run.of_devices(10, events // 2, OF_A_DEVICE)
    run.publish(channels, rate=events / 5).wait()
    deaths = died.stat().st_size
    assert deaths >= 5, f"it died {deaths} times"
    run.notes.append(f"{deaths} deaths")
    # No worker died: nothing came twice.
    run.finish()


def test_time_ends_registrations_while_sweepers_are_killed(run: Run) -> None:
    """Each end is heard once, under 0.2 by the registration and under 0.3 by the device, which goes on."""
    service = run.begin()
    run.inbox.plan(delay_ms=[2, 20])
    service.start_api()
    workers = [service.start_worker(number) for number in (1, 2)]
    events = run.options.events // 10
    load = run.publish(run.mixed(events, 30), rate=events / 6)
    ending = run.of_devices(DEVICES, 0, "registration-ends", subscribers=2)
    before = [subscriber for subscriber in run.subscribers if subscriber.channel in ending]
    run.ends([subscriber for subscriber in before if not subscriber.to_device], "NETWORK_TERMINATED")
    now_s = CLOCK.now()

    def expire(number: int) -> None:
        at_s = now_s + FIRST_END_S + number / DEVICES * (LAST_END_S - FIRST_END_S)
        service.register(ending[number], expiresAt=format_time(round(at_s * 1000)))
        ending[number].sent = ending[number].appended = 1

    service.together(expire, range(DEVICES))
    kills = 0
    while kills < KILLS or CLOCK.now() < now_s + LAST_END_S:
        worker = workers[kills % 2]
        worker.kill()
        worker.start()
        kills += 1
        CLOCK.sleep(run.draw.uniform(0.2, 0.6))
    load.wait()
    run.notes.append(f"{DEVICES} registrations ended by time, {kills} kills")
    run.finish(failed=kills)
