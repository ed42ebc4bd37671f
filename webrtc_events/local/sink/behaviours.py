"""How the local sink is to behave at a path, so that somebody sees what the service does about it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from webrtc_events.core.errors import InvalidArgument

__all__ = ["MAX_BEHAVIOURS", "Answer", "Behaviour", "Behaviours", "Misbehaviour"]

MAX_BEHAVIOURS = 100
_MAX_PATH = 1000
_MAX_COUNT = 1_000_000
_MAX_RETRY_AFTER_S = 86_400
_MEMBERS = frozenset({"answer", "retryAfter", "count", "handshake"})


class Misbehaviour(StrEnum):
    """No answer that HTTP knows.

    `HANG`: none until the client gives up. `DROP`: the connection is closed without one. `DRIP`: it comes one
    byte a second.
    """

    HANG = "hang"
    DROP = "drop"
    DRIP = "drip"


Answer = int | Misbehaviour
"""What a request is answered with: a status, or a misbehaviour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Holds at `path` and below it. `retry_after_s` goes with a status, in seconds.

    `count`: how many requests are left; None is any number. `handshake`: it answers OPTIONS too, which asks
    whether the sink agrees.
    """

    path: str
    answer: Answer
    retry_after_s: int | None = None
    count: int | None = None
    handshake: bool = False

    @classmethod
    def from_json(cls, path: str, members: Any) -> "Behaviour":
        """`members` are those of `as_json` without the path; all but `answer` may be absent or null.

        Raises:
            InvalidArgument: what is wrong, by the member's name.
        """
        if not isinstance(members, dict) or not members.keys() <= _MEMBERS:
            raise InvalidArgument(f"The body is a JSON object of {', '.join(sorted(_MEMBERS))}.")
        answer = _answer(members.get("answer"))
        retry_after_s = _whole(members, "retryAfter", 0, _MAX_RETRY_AFTER_S)
        if retry_after_s is not None and isinstance(answer, Misbehaviour):
            raise InvalidArgument("retryAfter: goes with a status only")
        handshake = members.get("handshake") or False
        if not isinstance(handshake, bool):
            raise InvalidArgument("handshake: must be true or false")
        return cls(
            path=_normal(path),
            answer=answer,
            retry_after_s=retry_after_s,
            count=_whole(members, "count", 1, _MAX_COUNT),
            handshake=handshake,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "answer": self.answer,
            "retryAfter": self.retry_after_s,
            "count": self.count,
            "handshake": self.handshake,
        }

    def holds_at(self, path: str) -> bool:
        return path == self.path or path.startswith(f"{self.path.rstrip('/')}/")


class Behaviours:
    """One for each path, 100 at most. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_path: dict[str, Behaviour] = {}

    def put(self, behaviour: Behaviour) -> None:
        """Takes the place of the one that holds at the same path.

        Raises:
            InvalidArgument: there are as many as there may be.
        """
        with self._lock:
            if behaviour.path not in self._by_path and len(self._by_path) >= MAX_BEHAVIOURS:
                raise InvalidArgument(f"There are {MAX_BEHAVIOURS} behaviours already; remove some.")
            self._by_path[behaviour.path] = behaviour

    def all(self) -> list[Behaviour]:
        """By path."""
        with self._lock:
            return [self._by_path[path] for path in sorted(self._by_path)]

    def remove(self, path: str) -> bool:
        """Whether there was one."""
        with self._lock:
            return self._by_path.pop(_normal(path), None) is not None

    def clear(self) -> None:
        with self._lock:
            self._by_path.clear()

    def take(self, path: str, *, handshake: bool = False) -> Behaviour | None:
        """The one of the longest path that holds here; None if the sink is to do what it would.

        It counts: what has been taken as often as it may is removed.
        """
        with self._lock:
            found = max(
                (behaviour for behaviour in self._by_path.values() if behaviour.holds_at(path)),
                key=lambda behaviour: len(behaviour.path),
                default=None,
            )
            if found is None or (handshake and not found.handshake):
                return None
            if found.count is not None:
                left = replace(found, count=found.count - 1)
                self._by_path[found.path] = left
                if left.count == 0:
                    del self._by_path[found.path]
            return found


def _normal(path: str) -> str:
    """With a slash in front, and none at the end.

    Raises:
        InvalidArgument: it is too long.
    """
    if len(path) > _MAX_PATH:
        raise InvalidArgument(f"path: has more than {_MAX_PATH} characters")
    return f"/{path.strip('/')}"


def _answer(given: Any) -> Answer:
    if isinstance(given, str) and given in set(Misbehaviour):
        return Misbehaviour(given)
    if isinstance(given, int) and not isinstance(given, bool) and 200 <= given <= 599:
        return given
    raise InvalidArgument(f"answer: must be a status from 200 to 599, or {', '.join(Misbehaviour)}")


def _whole(members: Mapping[str, Any], name: str, least: int, greatest: int) -> int | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= greatest:
        raise InvalidArgument(f"{name}: must be a whole number, {least} to {greatest:,}")
    return value
