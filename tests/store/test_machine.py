"""The store against a model of plain lists: random steps, jumps of time and crashes.

A step of the model's time is ten seconds. Between steps the store's clock stands still (machine_time.py), so
what a game takes decides nothing. The clock goes back now and then; time does not.
"""

import dataclasses

import pytest
import redis
from hypothesis import settings as profile
from hypothesis.stateful import (
    invariant,
    run_state_machine_as_test,
)

from tests.store.machine_model import (
    LONG,
    NOBODY,
    OUTBOX_AGE_STEPS,
    OUTBOX_LENGTH,
    PARTITIONS,
    RETENTION_STEPS,
    SHORT,
    STEP_MS,
    VALIDATION_STEPS,
    P,
)
from tests.store.machine_workers import WorkerSteps
from webrtc_events.core.settings import Settings
from webrtc_events.store.outbox_entries import referred_payload
from webrtc_events.store.redis.scripts import connect


class StoreMachine(WorkerSteps):
    """The steps of clients and workers, and what must hold after each."""

    @invariant()
    def first_posts_are_in_order_and_the_end_is_last(self) -> None:
        for model in self.models:
            firsts = list(dict.fromkeys(model.posts))
            assert firsts == sorted(firsts, key=lambda entry: entry[0])
            ends = [index for index, (_, reason) in enumerate(model.posts) if reason is not None]
            if ends:
                assert len(model.posts) - ends[0] == len(ends)
                assert {model.posts[index][1] for index in ends} == set(model.reasons)
            assert len(model.reasons) <= 1
            if model.maximum is not None:
                assert model.number <= model.maximum + 1 + (model.made.origin is not None)

    @invariant()
    def who_has_not_agreed_is_only_asked(self) -> None:
        for model in self.models:
            if model.asked():
                assert [number for number, _ in model.posts] == [1] * len(model.posts)
                assert model.reasons == []
            if not model.removed:
                fields = self.raw.hmget(P.subscription(model.made.id), "status", "rate", "appended")
                assert fields[0] == model.status
                assert not model.asked() or fields[1:] == [None, "0"]

    @invariant()
    def what_waits_is_due(self) -> None:
        """Nothing can be stuck, and nothing that is over is still looked for."""
        due = set(self.raw.zrange(P.due, 0, -1))
        assert due == {model.made.id for model in self.models if model.due is not None}
        for model in self.models:
            entries = self.raw.lrange(P.outbox(model.made.id), 0, -1)
            waiting = [int(str(entry).split(" ")[0]) for entry in entries]
            assert waiting[-len(model.outbox) :] == [number for number, _ in model.outbox]
            assert bool(waiting) == (model.due is not None)

    @invariant()
    def what_is_kept_is_what_some_outbox_refers_to(self) -> None:
        """With every entry that does. What nobody but nobody holds goes when the sweeper comes by."""
        wanted: dict[str, set[str]] = {}
        for model in self.models:
            for entry in self.raw.lrange(P.outbox(model.made.id), 0, -1):
                if sha := referred_payload(entry):
                    number = entry.partition(" ")[0]
                    wanted.setdefault(sha, set()).add(f"{model.made.id}:{number}")
        kept = {key.rpartition(":")[2]: self.raw.hgetall(key) for key in self.raw.keys(P.payload("*"))}
        assert all(fields.pop("payload") for fields in kept.values())
        damaged = {sha for sha, fields in kept.items() if NOBODY in fields}
        held = {sha: set(fields) - {NOBODY} for sha, fields in kept.items()}
        assert {sha: holders for sha, holders in held.items() if holders} == wanted
        assert {sha for sha, holders in held.items() if not holders} <= damaged
        assert set(self.raw.zrange(P.payloads, 0, -1)) == kept.keys()

    @invariant()
    def what_was_squeezed_out_is_a_dead_letter(self) -> None:
        full: dict[str, int] = {}
        for _, dead_letter in self.raw.xrange(P.dead):
            if dead_letter["reason"] == "outbox_full":
                full[dead_letter["subscription"]] = full.get(dead_letter["subscription"], 0) + 1
        assert full == {model.made.id: model.squeezed_out for model in self.models if model.squeezed_out}

    def teardown(self) -> None:
        """Every subscription is ended; then nothing of them is left."""
        for _ in range(200):
            self.pass_time(4)
            self.sweep()
            for model in self.models:
                self.delete_one(model)
            # All of these ran out, and some were broken by the DELETE.
            for lease in list(self.leases):
                self.settle_one(lease, "next", 0, repeat=False)
            self.claim(3)
            for lease in list(self.leases):
                self.post_of(lease, 3)
                self.settle_one(lease, "next", 0, repeat=False)
            self.first_posts_are_in_order_and_the_end_is_last()
            self.what_waits_is_due()
            self.what_is_kept_is_what_some_outbox_refers_to()
            if all(model.removed for model in self.models):
                break
        # The sweeper looks at holders once a minute, of a few payloads at a time.
        for _ in range(20):
            self.pass_time(7)
            self.sweep()
        assert [key for key in self.raw.keys("*") if self.raw.ttl(key) == -1] == []


@pytest.mark.parametrize(
    "examples", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.slow)]
)
def test_random_steps_keep_the_promises(
    settings: Settings, raw_store: "redis.Redis", examples: profile
) -> None:
    short = dataclasses.replace(
        settings,
        partitions=PARTITIONS,
        shared_payloads="on",
        retention_s=(RETENTION_STEPS * STEP_MS - STEP_MS // 2) // 1000,
        sink_validation_s=VALIDATION_STEPS * STEP_MS // 1000,
        outbox_length=OUTBOX_LENGTH,
        outbox_age_s=(OUTBOX_AGE_STEPS * STEP_MS - STEP_MS // 2) // 1000,
    )
    client = connect(settings.redis_url)
    machine = type("Machine", (StoreMachine,), {"settings": short, "client": client, "raw": raw_store})
    run_state_machine_as_test(machine, settings=examples)
    client.close()
