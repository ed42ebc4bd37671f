"""Sinks are asked whether they agree, while what asks them is killed."""

from concurrent.futures import ThreadPoolExecutor

import redis

from tests.chaos.run import Run
from tests.chaos.service import Subscriber
from tests.harness.valkeys import eventually

SUBSCRIPTIONS = 200


def test_sinks_agree_though_workers_and_the_store_are_killed(run: Run) -> None:
    """Every subscription becomes active, once, and has every event from then on."""
    service = run.begin(SINK_VALIDATION="on", SINK_VALIDATION_ORIGIN="events.operator.example")
    # Long enough that many are asked at any time, and each is asked more than once at times.
    run.inbox.plan(share=0.2, kinds=["503", "cut"], delay_ms=[50, 400])
    service.start_api(workers=2)
    workers = [service.start_worker(number) for number in (1, 2)]
    channels = run.channels(SUBSCRIPTIONS, run.options.events // 5)
    with ThreadPoolExecutor(1) as pool, run.client() as client:
        subscribing = pool.submit(run.subscribe, channels)
        for share, worker in zip((0.2, 0.6), workers, strict=True):
            wanted = share * SUBSCRIPTIONS
            eventually(lambda wanted=wanted: made_so_far(client) > wanted, f"{share:.0%} are made")
            run.say("kills a worker")
            worker.kill()
            worker.start()
        made = subscribing.result()
    run.say("kills the store and both workers")
    run.valkey.kill()
    for worker in workers:
        worker.kill()
    run.valkey.start()
    run.valkey.wait_ready()
    before = active(run, made)
    for worker in workers:
        worker.start()
    eventually(lambda: active(run, made) == SUBSCRIPTIONS, "all are active", 90, every_s=0.5)
    run.notes.append(f"{before} of {SUBSCRIPTIONS} had agreed before the last kill")
    run.publish(channels, rate=run.options.events / 10)
    run.finish()


def made_so_far(client: "redis.Redis") -> int:
    return sum(1 for _ in client.scan_iter("{*}:subscription:*", count=1000))


def active(run: Run, subscribers: list[Subscriber]) -> int:
    """How many of these are, as their owner sees it."""
    answers = run.service.together(run.service.get, subscribers)
    return sum(answer.status_code == 200 and answer.json()["status"] == "ACTIVE" for answer in answers)
