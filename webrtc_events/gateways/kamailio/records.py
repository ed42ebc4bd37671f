"""The records of deploy/kamailio/webrtc-events.cfg as values. Pure.

A record is a list of netstrings: when it was made, its kind, and the fields of the kind in the order of the
values here. A field may hold any bytes, as senders of SIP choose them.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from webrtc_events.gateways.kamailio.netstrings import NotNetstrings, netstrings

__all__ = ["Bindings", "Contact", "Expired", "Gone", "Malformed", "Message", "Record", "parse_record"]

_CONTROL: Final = dict.fromkeys((*range(32), 127))
_MESSAGE_KINDS: Final = frozenset({"invite", "request", "reply", "failure", "refused"})
_MAX_TIME_S: Final = 1 << 35


@dataclass(frozen=True, slots=True)
class Contact:
    """A binding of the registrar. `expires_ms`: since the epoch; 0: unknown. `ruid`: its name."""

    address: str
    expires_ms: int
    instance: str
    ruid: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """All that is registered for an address now. `asked`: the adapter asked; else a REGISTER came."""

    time_ms: int
    uri: str
    contacts: tuple[Contact, ...]
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Expired:
    """A binding that was not renewed. `aor` is user@host."""

    time_ms: int
    aor: str
    contact: Contact


@dataclass(frozen=True, slots=True)
class Gone:
    """Kamailio has no dialog of this Call-ID any more."""

    time_ms: int
    call_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message. `kind`: invite, request, reply, failure or refused. `code` is 0 of a request.

    `ruid` names the contact that a response came from. `callers` and `contacts`: what is registered for the
    From address and for the address called. `sdp` is None without one.
    """

    time_ms: int
    kind: str
    call_id: str
    from_tag: str
    to_tag: str
    cseq: int
    method: str
    code: int
    phrase: str
    ruid: str
    from_uri: str
    from_name: str
    to_uri: str
    to_name: str
    contact: str
    callers: tuple[Contact, ...]
    contacts: tuple[Contact, ...]
    sdp: str | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not what the fragment writes. `reason` is for the log, and quotes nothing."""

    reason: str


Record: TypeAlias = Bindings | Expired | Gone | Message


def parse_record(data: bytes) -> Record | Malformed:
    try:
        at, kind, *fields = netstrings(data)
        time_ms = _time_ms(at)
        match (kind.decode("ascii", "replace"), fields):
            case ("bindings" | "known" as word, [uri, contacts]):
                return Bindings(time_ms, _text(uri), _contacts(contacts), asked=word == "known")
            case ("expired", [aor, contacts]):
                (contact,) = _contacts(contacts)
                return Expired(time_ms, _text(aor), contact)
            case ("gone", [call_id]):
                return Gone(time_ms, _text(call_id))
            case (word, [*_]) if word in _MESSAGE_KINDS and len(fields) == 17:
                return _message(time_ms, word, fields)
            case _:
                return Malformed("a kind or a number of fields that the fragment does not write")
    except NotNetstrings as error:
        return Malformed(str(error))
    except ValueError:
        return Malformed("a number was expected, or a field is missing")


def _message(time_ms: int, kind: str, fields: list[bytes]) -> Message:
    texts = [_text(field) for field in fields[:13]]
    call_id, from_tag, to_tag, cseq, method, code, phrase, ruid = texts[:8]
    from_uri, from_name, to_uri, to_name, contact = texts[8:]
    callers, contacts, content_type, body = fields[13:]
    return Message(
        time_ms=time_ms,
        kind=kind,
        call_id=call_id,
        from_tag=from_tag,
        to_tag=to_tag,
        cseq=int(cseq or "0"),
        method=method,
        code=int(code or "0"),
        phrase=phrase,
        ruid=ruid,
        from_uri=from_uri,
        from_name=from_name,
        to_uri=to_uri,
        to_name=to_name,
        contact=contact,
        callers=_contacts(callers),
        contacts=_contacts(contacts),
        sdp=_sdp(content_type, body),
    )


def _contacts(data: bytes) -> tuple[Contact, ...]:
    found = []
    for item in netstrings(data):
        address, expires, instance, ruid = netstrings(item)
        expires_ms = int(expires or b"0") * 1000
        found.append(Contact(_text(address), expires_ms, _text(instance), _text(ruid)))
    return tuple(found)


def _sdp(content_type: bytes, body: bytes) -> str | None:
    kind = _text(content_type).partition(";")[0].strip().lower()
    return body.decode("utf-8", "replace") if body and kind == "application/sdp" else None


def _time_ms(at: bytes) -> int:
    """Of `seconds.microseconds`."""
    seconds, _, fraction = at.decode("ascii", "replace").partition(".")
    time_ms = int(seconds) * 1000 + int((fraction or "0").ljust(6, "0")[:6]) // 1000
    if not 0 <= time_ms < _MAX_TIME_S * 1000:
        raise ValueError("no time")
    return time_ms


def _text(field: bytes) -> str:
    """Without control characters; what is not UTF-8 becomes the replacement character."""
    return field.decode("utf-8", "replace").translate(_CONTROL)
