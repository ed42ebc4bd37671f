"""Runs the Lua scripts on Redis or Valkey.

What goes wrong with the store is `errors.Unavailable` here and above, whatever it was.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)

from webrtc_events.core.errors import DamagedRecord, NewerRelease, ServiceError, Unavailable, Unreachable
from webrtc_events.core.store_url import StoreUrl
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.client import Batch, Client
from webrtc_events.store.redis.script_texts import load_scripts
from webrtc_events.store.redis.topology import open_nodes

__all__ = [
    "Call",
    "Client",
    "Part",
    "Scripts",
    "SlotsFound",
    "WrongType",
    "answers_of",
    "calls_of",
    "checked_answers",
    "connect",
    "is_wrong_type",
    "store_errors",
    "store_is_full",
]


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script: its name, its keys, its hash tag, and its arguments from the third on."""

    script: str
    keys: Sequence[str]
    tag: str
    args: Sequence[str | int | bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """What a run of a script does in one slot, of which a run may have several. See lua/append.lua.

    `more_keys` of other slots may follow those of all parts; only where the store has none.
    """

    key: str
    tag: str
    args: Sequence[str | int | bytes]
    more_keys: Sequence[str] = ()


def connect(url: StoreUrl) -> Client:
    """A client for `url`.

    Raises:
        Unavailable: no node of a cluster answers. With other stores nothing is sent yet.
    """
    with store_errors():
        return Client(open_nodes(url))


# Errors that pass and for which redis-py has no class: a script runs long, too few replicas, the disk
# does not take writes, a master became a replica, and, while a slot's keys move to another node one by
# one, a script that needs keys of both; an index is made anew (lua/shared/common.lua).
_PASSING = re.compile(
    r"(BUSY|NOREPLICAS|MISCONF|UNBLOCKED|REBUILD)\b"
    r"|(ERR )?WAIT cannot be used with replica"
    r"|(ERR )?(Script a|A)ttempted to access a non local key in a cluster node"
)

# What these write may be lost: it is done anew, or made up for.
_WRITE_NOTHING_TO_KEEP = frozenset(
    {
        "backlog",
        "beat",
        "claim",
        "hasten",
        "index_page",
        "index_traces",
        "mark",
        "operator_state",
        "read_channel",
        "read_records",
        "sweep",
        "take_rate_slot",
        "take_rate_token",
        "trace",
    }
)

# The scripts' own, see lua/append.lua and lua/shared/common.lua.
_NEVER_FITS = re.compile(r"the event needs (\d+) bytes of (\d+)")
_NEWER = re.compile(r"NEWER\b")
_DAMAGED = re.compile(r"DAMAGED (.*)", re.DOTALL)
_NO_OPTIONS: dict[str, Any] = {}


class SlotsFound(Exception):
    """What was taken for a single server is a node of a cluster; nothing was done."""


class WrongType(ResponseError):
    """A key is of another type than what is asked of it."""


def calls_of(script: str, args: Sequence[str | int], runs: Sequence[Sequence[Part]]) -> list[Call]:
    """For each run a script for all of its parts. `args` come first in each."""
    return [
        Call(
            script,
            [*(part.key for part in parts), *chain.from_iterable(part.more_keys for part in parts)],
            parts[0].tag,
            [*args, *chain.from_iterable(part.args for part in parts)],
        )
        for parts in runs
    ]


@contextmanager
def store_errors() -> Iterator[None]:
    """Around every use of a client."""
    try:
        yield
    except redis.RedisError as error:
        outage = _outage(error)
        if outage is None:
            if is_wrong_type(error):
                raise WrongType(str(error)) from error
            raise
        raise outage from error


def is_wrong_type(answer: Any) -> bool:
    """Whether the answer to a command is that its key is of another type."""
    return isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")


def answers_of(pipe: Batch) -> list[Any]:
    """What each command is answered; WrongType where its key is of another type. Within `store_errors`."""
    return checked_answers(pipe.execute(raise_on_error=False))


def checked_answers(answers: list[Any]) -> list[Any]:
    """See `answers_of`, for whoever can do without the answers to some of the commands."""
    for index, answer in enumerate(answers):
        if is_wrong_type(answer):
            answers[index] = WrongType(str(answer))
        elif isinstance(answer, Exception):
            raise answer
    return answers


def store_is_full() -> Unavailable:
    """Nothing was written."""
    return Unavailable("The store is full at the moment; try again later.")


def _outage(error: Exception) -> ServiceError | None:
    """The error as callers know it; None if it is a bug."""
    match error:
        case redis.ConnectionError() | redis.TimeoutError():
            return Unreachable("The store cannot be reached at the moment; try again.")
        case redis.OutOfMemoryError() if needed := _NEVER_FITS.search(str(error)):
            return Unavailable(
                f"The event can never fit into the store: with its subscriptions it needs {needed[1]} bytes, "
                f"and the store may have {needed[2]} up to its watermark; its maxmemory must be raised."
            )
        case redis.OutOfMemoryError():
            return store_is_full()
        case redis.ReadOnlyError() | ClusterDownError() | MasterDownError():
            return Unavailable("The store takes no writes at the moment; try again.")
        # Keys on their way to another node. A script must not follow them: it would find only some.
        case AskError() | TryAgainError():
            return Unavailable("The store cannot do this at the moment; try again.")
        case ResponseError() if _NEWER.match(str(error)):
            return NewerRelease()
        case ResponseError() if damaged := _DAMAGED.match(str(error)):
            return DamagedRecord("", damaged[1])
        case ResponseError() if _PASSING.match(str(error)):
            return Unavailable("The store cannot do this at the moment; try again.")
    return None


class Scripts:
    """The scripts of `lua/`, with the same options in each (see lua/shared/common.lua).

    `kept` grows whenever one is run that writes what is to be kept. `offset_ms` shifts the store's clock.
    """

    def __init__(self, client: Client, options: Mapping[str, int | str], offset_ms: int = 0) -> None:
        self.kept = 0
        self.offset_ms = offset_ms
        self._client = client
        self._scripts = load_scripts(options)

    def run(self, calls: Sequence[Call], *, replicas: int = 0) -> list[Any]:
        """Runs them, those of one partition in order, in one round trip; returns what each returned.

        With `replicas`, only once as many hold what was written.

        Raises:
            Unavailable: some may have run and some not.
        """
        answers = self.run_some(calls, replicas=replicas)
        for answer in answers:
            if isinstance(answer, Unavailable):
                raise answer
        return answers

    def run_across_slots(self, calls: Sequence[Call]) -> list[Any]:
        """As `run`, for runs whose keys are of several slots, which only a store without slots has.

        Raises:
            SlotsFound: it has some. They were taken for a single server's until now.
        """
        try:
            return self.run(calls)
        except ClusterCrossSlotError as error:
            self._client.nodes.has_slots = True
            raise SlotsFound from error

    def run_parts(
        self, script: str, args: Sequence[str | int], runs: Sequence[Sequence[Part]], *, replicas: int = 0
    ) -> list[Any]:
        """Runs a script for the parts of each run, in one round trip; returns what is said of each part.

        Where the store has slots each part is a run. `args` come first in each.

        Raises:
            Unavailable: some may have run and some not.
            SlotsFound: parts with more keys must be given without them.
        """
        if self._client.nodes.has_slots:
            runs = [[part] for parts in runs for part in parts]
        try:
            answers = self.run(calls_of(script, args, runs), replicas=replicas)
        except ClusterCrossSlotError as error:
            # A node of a cluster that was taken for a single server.
            self._client.nodes.has_slots = True
            if any(part.more_keys for parts in runs for part in parts):
                raise SlotsFound from error
            return self.run_parts(script, args, runs, replicas=replicas)
        outcomes = [_outcome(answer) for answer in chain.from_iterable(answers)]
        for outcome in outcomes:
            if isinstance(outcome, Unavailable):
                raise outcome
        return outcomes

    def run_some(
        self,
        calls: Sequence[Call],
        *,
        replicas: int = 0,
        repeats: bool = True,
        begun: Begun | None = None,
    ) -> list[Any]:
        """The same, but what may not have run, for an outage, is Unavailable in place of its answer.

        Calls that were `begun` are not sent at first, only awaited.
        """
        if not calls:
            return []
        if begun is None:
            answers = self._execute(calls, by_text=False, replicas=replicas, repeats=repeats)
        else:
            answers = self._client.run(begun.commands, replicas=replicas, repeats=repeats, begun=begun)
        forgotten = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:
            # The store was restarted or its scripts were flushed: send the texts.
            left = [calls[index] for index in forgotten]
            again = self._execute(left, by_text=True, replicas=replicas, repeats=repeats)
            for index, answer in zip(forgotten, again, strict=True):
                answers[index] = answer
        return [_outcome(answer) for answer in answers]

    def begin(self, calls: Sequence[Call]) -> Begun | None:
        """See `Client.begin`; `run_some` goes on with it."""
        begun = self._client.begin(self._commands(calls, by_text=False))
        if begun is not None:
            self._count_kept(calls)
        return begun

    def end(self, begun: Begun) -> None:
        """See `Client.end`."""
        self._client.end(begun)

    def keep(self, calls: Sequence[Call]) -> None:
        """See `Client.keep`."""
        self._client.keep(self._commands(calls, by_text=False))

    def _execute(self, calls: Sequence[Call], *, by_text: bool, replicas: int, repeats: bool) -> list[Any]:
        self._count_kept(calls)
        return self._client.run(self._commands(calls, by_text=by_text), replicas=replicas, repeats=repeats)

    def _count_kept(self, calls: Sequence[Call]) -> None:
        self.kept += sum([call.script not in _WRITE_NOTHING_TO_KEEP for call in calls])

    def _commands(
        self, calls: Sequence[Call], *, by_text: bool
    ) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        texts = self._texts_of(calls) if by_text else {}
        found = []
        for call in calls:
            name, what = (
                ("EVAL", texts[call.script]) if by_text else ("EVALSHA", self._scripts[call.script].sha)
            )
            args = (name, what, len(call.keys), *call.keys, call.tag, self.offset_ms, *call.args)
            found.append((args, _NO_OPTIONS))
        return found

    def _texts_of(self, calls: Sequence[Call]) -> dict[str, str]:
        """Each once: a claim from all partitions is as many calls of one script."""
        return {name: self._scripts[name].text for name in {call.script for call in calls}}


def _outcome(answer: Any) -> Any:
    """An outage as Unavailable; a bug, or a damaged record, is raised."""
    if not isinstance(answer, Exception) or isinstance(answer, Unavailable):
        return answer
    outage = _outage(answer)
    if outage is None:
        raise answer
    outage.__cause__ = answer
    if isinstance(outage, DamagedRecord):
        raise outage
    return outage
