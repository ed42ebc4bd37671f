"""The texts of the scripts: each file of `lua/`, with options and the shared functions that it needs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

__all__ = ["Script", "load_scripts"]

_NAMES = (
    "acknowledge_channel",
    "append",
    "backlog",
    "beat",
    "claim",
    "create",
    "discard",
    "drop_entries",
    "end",
    "erase",
    "hasten",
    "index_page",
    "index_traces",
    "initial",
    "join_session",
    "keep_channel",
    "make_channel",
    "mark",
    "mend",
    "operator_events",
    "operator_state",
    "prolong_session",
    "read_channel",
    "read_records",
    "record_session_state",
    "redeliver",
    "register",
    "reindex",
    "reseal",
    "reserve",
    "reserve_channel",
    "settle",
    "shorten_session",
    "standing",
    "sweep",
    "take_rate_slot",
    "take_rate_token",
    "trace",
    "unregister",
    "update",
    "use_channel",
)


# What scripts share, in this order.
_SHARED = (
    "common",
    "client_index",
    "session_index",
    "records",
    "outboxes",
    "session_states",
    "endings",
    "appending",
    "payloads",
    "by_id",
    "outbox_heads",
    "channels",
)
# Of short scripts, which run very often, the last of them that they need: to make the functions of the others
# takes longer than their work. Each may use those before it, so none is left out before the last.
_LAST_SHARED = {
    "acknowledge_channel": "records",
    "append": "payloads",
    "backlog": "common",
    "beat": "common",
    "create": "payloads",
    "hasten": "outboxes",
    "index_page": "client_index",
    "index_traces": "common",
    "join_session": "common",
    "keep_channel": "channels",
    "make_channel": "common",
    "mark": "common",
    "operator_state": "records",
    "prolong_session": "session_index",
    "read_channel": "common",
    "read_records": "common",
    "record_session_state": "session_states",
    "register": "records",
    "reserve": "client_index",
    "reserve_channel": "common",
    "settle": "channels",
    "shorten_session": "common",
    "standing": "client_index",
    "take_rate_slot": "common",
    "take_rate_token": "common",
    "trace": "common",
    "use_channel": "common",
}
# Of all others.
_LAST = "outbox_heads"
# Scripts that run very often do without these, which are before the last that they need.
_LEFT_OUT: Mapping[str, Sequence[str]] = {
    "append": ("client_index", "session_index"),
    "claim": ("client_index", "session_index"),
    "settle": ("client_index", "session_index"),
}
# What a script uses of those that it seldom needs, which are made when it needs the first of them.
_SELDOM: Mapping[str, Mapping[str, Sequence[str]]] = {
    "append": {"endings": ("dead_letter", "queue_end", "schedule")},
    "settle": {"channels": ("append_to_channel",)},
}
# See records.lua, which opens functions around what follows.
_OPENED = "\nreturn (function()\n"


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent once, and what names it from then on.

    `parts`: lines of the text. What scripts share they have together: whole texts of all are 1.2 MB.
    """

    parts: tuple[str, ...] = field(repr=False)
    sha: str

    @property
    def text(self) -> str:
        return _joined(self.parts)


def load_scripts(options: Mapping[str, int | str]) -> dict[str, Script]:
    """Every script, by its name, with these options."""
    folder = files("webrtc_events.store") / "lua"
    shared = {topic: (folder / "shared" / f"{topic}.lua").read_text() for topic in _SHARED}
    written = _options_text(options)
    return {name: _script(name, (folder / f"{name}.lua").read_text(), written, shared) for name in _NAMES}


def _options_text(options: Mapping[str, int | str]) -> str:
    """For the text of a script, as they do not change: what comes with each call is read with each call."""
    written = (f"{name} = {_lua(value)}" for name, value in options.items())
    return f"local options = {{{', '.join(written)}}}"


def _lua(value: int | str) -> str:
    """As a literal. A byte by its decimal code is the same in every text."""
    if isinstance(value, int):
        return str(value)
    plain = (chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03d}" for byte in value.encode())
    return f"'{''.join(plain)}'"


def _script(name: str, own: str, options: str, shared: Mapping[str, str]) -> Script:
    """Its own first line (its flags), options, then what it shares with others, then the rest."""
    first, _, rest = own.partition("\n")
    topics = _topics_of(name)
    seldom = _SELDOM.get(name, {})
    parts = (first, options, *(_shared(shared[topic], seldom.get(topic)) for topic in topics), rest)
    return Script(parts, hashlib.sha1(_joined(parts).encode(), usedforsecurity=False).hexdigest())


def _topics_of(name: str) -> list[str]:
    """What it shares with others."""
    up_to_last = _SHARED[: _SHARED.index(_LAST_SHARED.get(name, _LAST)) + 1]
    return [topic for topic in up_to_last if topic not in _LEFT_OUT.get(name, ())]


def _joined(parts: Sequence[str]) -> str:
    text = "\n".join(parts)
    return text + "\nend)()" * text.count(_OPENED)


def _shared(text: str, seldom: Sequence[str] | None) -> str:
    """A shared file; of one that is seldom needed, functions of these names, which make the others first."""
    if seldom is None:
        return text
    made = ", ".join(seldom)
    lines = [f"local {made}", "local function make()", text, f"return {made}", "end"]
    for name in seldom:
        lines += [f"{name} = function(...)", f"{made} = make()", f"return {name}(...)", "end"]
    return "\n".join(lines)
