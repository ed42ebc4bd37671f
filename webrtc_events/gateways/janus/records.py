"""What the adapter knows of Janus, as its journal keeps it: handles, registrations, calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from webrtc_events.gateways.call_signals import Side
from webrtc_events.gateways.janus.events import JanusEvent
from webrtc_events.gateways.journal import Transaction
from webrtc_events.gateways.media_session import MediaSession

__all__ = ["Call", "Handle", "Records", "Registered", "handle_key", "session_prefix"]

_HANDLE: Final = "handle"
_REGISTRATION: Final = "registration"
_IDENTITY: Final = "identity"
_CALL: Final = "call"
_OVER: Final = "call-that-is-over"
# More than begin between two tidyings, a minute, at 300 calls/s.
_FORGOTTEN_AT_ONCE: Final = 20_000

Record = TypeVar("Record", bound=msgspec.Struct)


class Handle(msgspec.Struct, frozen=True, omit_defaults=True):
    """A handle of the SIP plugin: an endpoint. `registration`: None if it is nobody's, or not registered.

    `contact` is the URI that it registers; `granted_s`: for how long the registrar took it the last time.
    `calls`: media sessions that it is in. `time_us`: when Janus last said something of it. `dialogs`: by the
    session that a Call-ID names, the other one that the handle is in, see `dialogs.py`. `helper`: a further
    line of an endpoint, whose registration another handle renews.
    """

    opaque_id: str = ""
    identity: str | None = None
    registration: str | None = None
    contact: str | None = None
    granted_s: int | None = None
    calls: tuple[str, ...] = ()
    time_us: int = 0
    dialogs: Mapping[str, str] = {}
    helper: bool = False


class Registered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registration that the service knows. `handles`: who holds it, and until when (ms since the epoch)."""

    handles: Mapping[str, int] = {}


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """A media session with what tells its legs apart: the caller's tag, and which party each handle is.

    `accepted`: receivers who have accepted, and whose 200 was not seen yet. `first_session`: of a dialog with
    the Call-ID of an earlier one, the session of that one.
    """

    session: MediaSession
    caller_tag: str | None = None
    sides: Mapping[str, Side] = {}
    accepted: tuple[str, ...] = ()
    first_session: str | None = None


def session_prefix(emitter: str, session: str = "") -> str:
    """What the keys of a Janus's handles begin with, or those of one of its sessions."""
    prefix = f"{quote(emitter, safe='')}/"
    return f"{prefix}{quote(session, safe='')}/" if session else prefix


def handle_key(event: JanusEvent) -> str:
    return session_prefix(event.emitter, event.session) + quote(event.handle, safe="")


@dataclass(frozen=True, slots=True)
class Records:
    """Typed access to a transaction's state."""

    transaction: Transaction

    def handle(self, key: str) -> Handle | None:
        return self._get(_HANDLE, key, Handle)

    def handles(self, prefix: str) -> Iterator[tuple[str, Handle]]:
        for key, value in self.transaction.items(_HANDLE, prefix):
            yield key, msgspec.json.decode(value, type=Handle)

    def put_handle(self, key: str, handle: Handle) -> None:
        self.transaction.put(_HANDLE, key, msgspec.json.encode(handle))

    def remove_handle(self, key: str) -> None:
        self.transaction.remove(_HANDLE, key)

    def registered(self, registration_id: str) -> Registered:
        return self._get(_REGISTRATION, registration_id, Registered) or Registered()

    def put_registered(self, registration_id: str, registered: Registered) -> None:
        if registered.handles:
            self.transaction.put(_REGISTRATION, registration_id, msgspec.json.encode(registered))
        else:
            self.transaction.remove(_REGISTRATION, registration_id)

    def registration_of_identity(self, emitter: str, identity: str) -> str | None:
        found = self.transaction.get(_IDENTITY, session_prefix(emitter) + identity)
        return None if found is None else found.decode()

    def put_identity(self, emitter: str, identity: str, registration_id: str | None) -> None:
        key = session_prefix(emitter) + identity
        if registration_id is None:
            self.transaction.remove(_IDENTITY, key)
        else:
            self.transaction.put(_IDENTITY, key, registration_id.encode())

    def call(self, session_id: str) -> Call | None:
        """One that is over is remembered for a while: what comes late must not begin it anew."""
        return self._get(_CALL, session_id, Call) or self._get(_OVER, session_id, Call)

    def put_call(self, call: Call) -> None:
        kinds = (_CALL, _OVER) if call.session.is_over else (_OVER, _CALL)
        self.transaction.remove(kinds[0], call.session.id)
        self.transaction.put(kinds[1], call.session.id, msgspec.json.encode(call))

    def forget_calls(self, over_for_ms: int) -> None:
        """Those that have been over for so long, so many at most."""
        self._forget(_OVER, over_for_ms)

    def forget_endpoints(self, for_ms: int) -> None:
        """Handles and registrations of which nothing was heard for so long: their ends were missed."""
        for kind in (_REGISTRATION, _IDENTITY):
            self._forget(kind, for_ms)
        for key, value in self.transaction.untouched(_HANDLE, for_ms, _FORGOTTEN_AT_ONCE):
            handle = msgspec.json.decode(value, type=Handle)
            if handle.helper and handle.registration and self.registered(handle.registration).handles:
                # It may be quiet for as long as its endpoint renews. It is looked at again after as long.
                self.put_handle(key, handle)
            else:
                self.remove_handle(key)

    def _forget(self, kind: str, for_ms: int) -> None:
        for key, _ in self.transaction.untouched(kind, for_ms, _FORGOTTEN_AT_ONCE):
            self.transaction.remove(kind, key)

    def silent_calls(self, for_ms: int) -> list[Call]:
        """Those that go on, and of which nothing was heard for so long; the oldest first, some at a time."""
        return [
            msgspec.json.decode(value, type=Call) for _, value in self.transaction.untouched(_CALL, for_ms)
        ]

    def _get(self, kind: str, key: str, record: type[Record]) -> Record | None:
        value = self.transaction.get(kind, key)
        return None if value is None else msgspec.json.decode(value, type=record)
