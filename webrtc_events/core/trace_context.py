"""The trace that an event belongs to, as `traceparent` and `tracestate` say it. Pure.

Source: W3C Trace Context, level 2. What is not valid is ignored, as it says: then there is no trace.
"""

import re
from collections.abc import Iterable
from typing import Final, Self

import msgspec

__all__ = ["TraceContext"]

# What is longer is of a later version, whose first part is like this one.
_LENGTH: Final = 55
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_SAMPLED: Final = 0x01
# Sampled, and a trace id that is random; others have no meaning yet, and are not passed on.
_KNOWN_FLAGS: Final = 0x03

# At least these are to be passed on (3.3.1.5), and no more are. What is far longer is not read at all.
_MAX_STATE: Final = 512
_MAX_READ: Final = 8192
_MAX_MEMBERS: Final = 32
_LONG_MEMBER: Final = 128
_MEMBER: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)


class TraceContext(msgspec.Struct, frozen=True):
    """A span by its ids, in lower-case hexadecimal. `state`: what vendors add, a valid `tracestate` or ''."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether who came before recorded it."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @classmethod
    def read(cls, traceparent: object, tracestate: object = None) -> Self | None:
        """Of an event's extension attributes, or of what the store kept. None: there is no valid one."""
        if not isinstance(traceparent, str):
            return None
        found = _TRACEPARENT.match(traceparent)
        if found is None:
            return None
        version, trace_id, span_id, flags = found.groups()
        rest = traceparent[_LENGTH : _LENGTH + 1]
        # Of version 00 there is no more; what a later one adds begins with a dash.
        if version == "ff" or (rest and (version == "00" or rest != "-")):
            return None
        if trace_id == _NO_TRACE or span_id == _NO_SPAN:
            return None
        return cls(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, _valid_state(tracestate))

    @classmethod
    def of_headers(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self | None:
        """Of a request, by its headers in lower case, as ASGI has them."""
        parents, states = [], []
        for name, value in headers:
            if name == b"traceparent":
                parents.append(value)
            elif name == b"tracestate":
                states.append(value)
        # Of several none is the right one.
        if len(parents) != 1:
            return None
        return cls.read(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of a request that goes out."""
        if self.state:
            return ("traceparent", self.traceparent), ("tracestate", self.state)
        return (("traceparent", self.traceparent),)


def _valid_state(tracestate: object) -> str:
    """As it is passed on: in one line, cut to its bound; '' if it is not valid."""
    if not isinstance(tracestate, str) or not tracestate or len(tracestate) > _MAX_READ:
        return ""
    members = [member for part in tracestate.split(",") if (member := part.strip(" \t"))]
    if len(members) > _MAX_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    keys = {member.partition("=")[0] for member in members}
    return _bounded(members) if len(keys) == len(members) else ""


def _bounded(members: list[str]) -> str:
    """Long members go first, then the oldest, which stand last (3.3.1.5)."""
    state = ",".join(members)
    if len(state) > _MAX_STATE:
        members = [member for member in members if len(member) <= _LONG_MEMBER]
        while len(state := ",".join(members)) > _MAX_STATE:
            members.pop()
    return state
