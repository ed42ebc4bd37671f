"""What the store is asked to append, in how many steps, and what its answers mean."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.harness.builders import invitation, session_status
from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.store.appends import AppendOptions, AppendResult, append_events
from webrtc_events.store.deadlines import Deadlines
from webrtc_events.store.redis.scripts import Part

DEADLINES = Deadlines({event_type: 1000 + number for number, event_type in enumerate(EventType)})
OPTIONS = AppendOptions(DEADLINES, replicas=2, shared_from=700)
NAMES = (
    *("name", "type", "registration", "session", "deadline", "payload"),
    *("counted", "involved", "last", "time"),
)


class Answering:
    """In the place of scripts: answers parts in turn, as lua/append.lua may; all new if nothing is said."""

    def __init__(self, *answers: list[Any]) -> None:
        self.rounds: list[list[list[Part]]] = []
        self._answers = list(answers)

    def run_parts(
        self, script: str, args: Sequence[Any], runs: Sequence[Sequence[Part]], *, replicas: int
    ) -> list[Any]:
        assert (script, args, replicas) == ("append", [OPTIONS.shared_from], OPTIONS.replicas)
        self.rounds.append([list(parts) for parts in runs])
        return [
            self._answers.pop(0) if self._answers else [1, 4] * len(events_of(part))
            for parts in runs
            for part in parts
        ]


def events_of(part: Part) -> list[dict[str, Any]]:
    """The arguments of each event, by their names in lua/append.lua."""
    tag, count, *args = part.args
    assert tag == part.tag
    events = [dict(zip(NAMES, args[at : at + 10], strict=True)) for at in range(0, len(args), 10)]
    assert count == len(events)
    return events


def appended(
    scripts: Any, batches: Mapping[int, Sequence[NetworkEvent]]
) -> tuple[dict[int, list[AppendResult]], list[Sequence[str]]]:
    """Also what was reported as damaged."""
    damaged: list[Sequence[str]] = []
    return append_events(scripts, OPTIONS, batches, damaged.extend), damaged


def sent(event: NetworkEvent) -> dict[str, Any]:
    scripts = Answering()
    appended(scripts, {5: [event]})
    (((part,),),) = scripts.rounds
    assert (part.key, part.tag) == ("{5}:due", "{5}")
    (found,) = events_of(part)
    return found


def test_an_event_is_given_whole() -> None:
    event = dataclasses.replace(invitation(1), time_ms=77, last=True, involved=("r1", "r2"))
    assert sent(event) == {
        "name": "/gateway e1",
        "type": "session-invitation",
        "registration": "r1",
        "session": "s1",
        "deadline": DEADLINES.ms[EventType.SESSION_INVITATION],
        "payload": event.payload,
        "counted": 0,
        "involved": "",
        "last": "",
        "time": 77,
    }
    bare = sent(dataclasses.replace(event, registration=None, session=None, numbered=False))
    assert (bare["registration"], bare["session"], bare["counted"]) == ("", "", 0)


def test_of_a_status_whom_its_session_involves_and_whether_it_is_the_last() -> None:
    status = session_status(1)
    assert [sent(status)[name] for name in ("involved", "last", "counted")] == ["", 0, 0]
    last = dataclasses.replace(status, last=True, involved=("r1", "r2"), numbered=False)
    found = sent(last)
    assert (json.loads(found["involved"]), found["last"], found["counted"]) == (["r1", "r2"], 1, 1)


def test_each_partition_is_given_its_events_fifty_at_a_time() -> None:
    scripts = Answering()
    batches = {
        3: [invitation(number) for number in range(60)],
        8: [invitation(number) for number in range(2)],
    }
    results, damaged = appended(scripts, batches)
    assert results == {3: [AppendResult(True, 4)] * 60, 8: [AppendResult(True, 4)] * 2}
    assert damaged == []
    assert shapes(scripts) == [[[("{3}", 50)], [("{8}", 2)]], [[("{3}", 10)]]]
    names = [event["name"] for runs in scripts.rounds for event in events_of(runs[0][0])]
    assert names == [f"/gateway e{number}" for number in range(60)]


def shapes(scripts: Answering) -> list[list[list[tuple[str, int]]]]:
    """Of each part of each run of each round, its partition and how many events it has."""
    return [
        [[(part.tag, len(events_of(part))) for part in parts] for parts in runs] for runs in scripts.rounds
    ]


def test_partitions_with_few_events_share_a_run() -> None:
    scripts = Answering()
    appended(scripts, {at: [invitation(number) for number in range(20)] for at in (3, 8, 9, 12)})
    assert shapes(scripts) == [[[("{3}", 20), ("{8}", 20)], [("{9}", 20), ("{12}", 20)]]]


def test_what_a_shared_run_does_not_get_to_is_given_again_partition_by_partition() -> None:
    scripts = Answering([1, 9], [])
    batches = {number: [invitation(1), invitation(2)] for number in (3, 8)}
    results, _ = appended(scripts, batches)
    assert shapes(scripts) == [[[("{3}", 2), ("{8}", 2)]], [[("{3}", 1)], [("{8}", 1)]], [[("{8}", 1)]]]
    assert results == {3: [AppendResult(True, 9), AppendResult(True, 4)], 8: [AppendResult(True, 4)] * 2}


def test_what_a_call_does_not_get_to_is_given_again_with_twice_as_many_as_it_did() -> None:
    scripts = Answering([1, 9], [0, 0] * 3, [], [1, 2])
    results, _ = appended(scripts, {3: [invitation(number) for number in range(80)]})
    assert results[3][:6] == [
        *([AppendResult(True, 9)] + [AppendResult(False, 0)] * 3),
        *(AppendResult(True, 2), AppendResult(True, 4)),
    ]
    sizes = [len(events_of(part)) for runs in scripts.rounds for (part,) in runs]
    assert sizes == [50, 3, 7, 1, 3, 7, 15, 31, 19]
    assert len(results[3]) == 80


def test_a_call_has_a_mebibyte_of_payloads_or_one_event() -> None:
    def of_size(number: int, size: int) -> NetworkEvent:
        return dataclasses.replace(invitation(number), payload="x" * size)

    scripts = Answering()
    sizes = (524_288, 524_288, 1, 1_048_576, 2_000_000, 2_000_000)
    appended(scripts, {3: [of_size(number, size) for number, size in enumerate(sizes)]})
    assert [[len(event["payload"]) for event in events_of(part)] for ((part,),) in scripts.rounds] == [
        [524_288, 524_288],
        *([1], [1_048_576], [2_000_000], [2_000_000]),
    ]


def test_what_is_damaged_comes_last_in_an_answer() -> None:
    scripts = Answering([1, 4, 0, 0, [[["s-1", "why"], ["s-2", "as well"]], [], []]])
    results, damaged = appended(scripts, {3: [invitation(1), invitation(2)]})
    assert results == {3: [AppendResult(True, 4), AppendResult(False, 0)]}
    assert damaged == [["s-1", "why"], ["s-2", "as well"]]


def test_an_answer_that_is_lacking_is_a_bug() -> None:
    class Lacking(Answering):
        def run_parts(self, *args: Any, **options: Any) -> list[Any]:
            return super().run_parts(*args, **options)[1:]

    with pytest.raises(ValueError, match="zip"):
        appended(Lacking(), {3: [invitation(1)]})
