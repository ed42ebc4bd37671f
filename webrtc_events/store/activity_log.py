"""What was counted in each of the last minutes, by each process."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from webrtc_events.store.keys import activity_key
from webrtc_events.store.redis.scripts import Client, is_wrong_type, store_errors

__all__ = ["Minute", "counts_text", "read_minutes", "waiting_field"]

_WAITING = "waiting"
_decode = msgspec.json.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Minute:
    """`number`: since the epoch. `counts`: of all processes, as `Activity` names them; `by_process`: of each.

    `waiting`: how many subscriptions had something to be delivered, when a worker last looked in that
    minute; None: none looked. `damaged`: how many values cannot be read. `is_known`: its node answered.
    """

    number: int
    counts: Mapping[str, int]
    by_process: Mapping[str, Mapping[str, int]]
    waiting: int | None = None
    damaged: int = 0
    is_known: bool = True


def read_minutes(client: Client, last: int, minutes: int) -> list[Minute]:
    """That many up to `last`, the oldest first.

    Raises:
        Unavailable: the store cannot be reached.
    """
    numbers = range(last - minutes + 1, last + 1)
    pipe = client.pipeline()
    for number in numbers:
        pipe.hgetall(activity_key(number))
    with store_errors():
        answers = pipe.execute(raise_on_error=False)
        if all(isinstance(answer, Exception) and not is_wrong_type(answer) for answer in answers):
            raise answers[0]
    return [_minute(number, answer) for number, answer in zip(numbers, answers, strict=True)]


def counts_text(counts: Mapping[str, int]) -> bytes:
    """What a process counted in a minute, as it is kept: without what it did not count."""
    return msgspec.json.encode({name: count for name, count in counts.items() if count})


def waiting_field(subscriptions: int) -> dict[str, bytes]:
    """How many subscriptions wait, as it is kept beside the counts of processes."""
    return {_WAITING: counts_text({_WAITING: subscriptions})}


def _minute(number: int, answer: Any) -> Minute:
    if isinstance(answer, Exception):
        is_damaged = is_wrong_type(answer)
        return Minute(number, {}, {}, damaged=int(is_damaged), is_known=is_damaged)
    by_process: dict[str, dict[str, int]] = {}
    total: Counter[str] = Counter()
    waiting, damaged = None, 0
    for name, text in answer.items():
        try:
            counts = _decode(text)
        except msgspec.MsgspecError:
            damaged += 1
            continue
        if name == _WAITING:
            waiting = counts.get(_WAITING, 0)
        else:
            by_process[name] = counts
            total.update(counts)
    return Minute(number, total, by_process, waiting, damaged)
