"""Runs the Lua scripts on Redis or Valkey. The only importer of redis.

What goes wrong with the store is `errors.Unavailable` here and above, whatever it was.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MasterDownError, NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from webrtc_events.errors import NewerRelease, Unavailable

__all__ = ["Call", "Client", "Scripts", "connect", "store_errors"]

# Untyped: redis-py's own types leave open whether an answer is bytes or text.
Client = Any

# A command that takes longer than this is as good as lost; callers get 503 and try again.
TIMEOUT_S = 2.0
_REPLICA_WAIT_MS = 1_000

_NAMES = (
    "admit",
    "append",
    "claim",
    "create",
    "end",
    "erase",
    "initial",
    "redeliver",
    "remember",
    "reseal",
    "settle",
    "sweep",
    "update",
)


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script: its name, its keys, its hash tag, and its arguments from the third on."""

    script: str
    keys: Sequence[str]
    tag: str
    args: Sequence[str | int]


def connect(url: str) -> Client:
    """A client for `url`; nothing is sent yet."""
    # One retry, at once: a connection that the store closed while idle is replaced, while
    # a store that is down is reported quickly. Every script may be repeated safely.
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )


# Error codes that pass and for which redis-py has no class: a script runs long, too few replicas, the
# disk does not take writes, keys on their way to another node. A pipeline puts words in front.
_PASSING = re.compile(r"(^|caused error: )(BUSY|NOREPLICAS|MISCONF|TRYAGAIN)\b")

# The scripts' own, see common.lua.
_NEWER = re.compile(r"(^|caused error: )NEWER\b")


@contextmanager
def store_errors() -> Iterator[None]:
    """Around every use of a client."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise Unavailable("The store cannot be reached at the moment; try again.") from error
    except redis.OutOfMemoryError as error:
        raise Unavailable("The store is full at the moment; try again later.") from error
    except (redis.ReadOnlyError, ClusterDownError, MasterDownError) as error:
        raise Unavailable("The store takes no writes at the moment; try again.") from error
    except ResponseError as error:
        if _NEWER.search(str(error)):
            raise NewerRelease from error
        if not _PASSING.search(str(error)):
            raise
        raise Unavailable("The store cannot do this at the moment; try again.") from error


class Scripts:
    """The scripts of `lua/`, each given the same options (see common.lua)."""

    def __init__(self, client: Client, options: Mapping[str, int]) -> None:
        self._client = client
        self._options = json.dumps(options)
        self._scripts = {name: _load(name) for name in _NAMES}

    def run(self, calls: Sequence[Call], *, replicas: int = 0) -> list[Any]:
        """Runs them in order, in one round trip; returns what each returned.

        With `replicas`, only once so many hold what was written.

        Raises:
            Unavailable: some may have run and some not.
        """
        if not calls:
            return []
        with store_errors():
            answers = self._execute(calls, by_text=False, replicas=replicas)
            forgotten = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if forgotten:
                # The store was restarted or its scripts were flushed: send the texts.
                again = self._execute([calls[index] for index in forgotten], by_text=True, replicas=replicas)
                for index, answer in zip(forgotten, again, strict=True):
                    answers[index] = answer
            for answer in answers:
                if isinstance(answer, RedisError):
                    raise answer
        return answers

    def _execute(self, calls: Sequence[Call], *, by_text: bool, replicas: int) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for call in calls:
            script = self._scripts[call.script]
            rest = (len(call.keys), *call.keys, call.tag, self._options, *call.args)
            if by_text:
                pipe.eval(script.text, *rest)
            else:
                pipe.evalsha(script.sha, *rest)
        if replicas:
            # WAIT speaks of the writes of its own connection, so it goes in the same pipeline.
            pipe.execute_command("WAIT", replicas, _REPLICA_WAIT_MS)
        answers: list[Any] = pipe.execute(raise_on_error=False)
        if replicas:
            held_by = answers.pop()
            if isinstance(held_by, RedisError):
                raise held_by
            if held_by < replicas:
                raise Unavailable("Too few replicas hold the event; try again.")
        return answers


def _load(name: str) -> _Script:
    """The script's own first line (its flags), then what all scripts share, then the rest."""
    folder = files("webrtc_events") / "lua"
    first, _, rest = (folder / f"{name}.lua").read_text().partition("\n")
    text = "\n".join((first, (folder / "common.lua").read_text(), rest))
    return _Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
