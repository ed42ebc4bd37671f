"""Records as deploy/kamailio/webrtc-events.cfg writes them."""

from typing import Final

from webrtc_events.gateways.kamailio.netstrings import netstring

__all__ = ["T0_S", "bindings", "contact", "expired", "gone", "invite", "message", "record"]

T0_S: Final = 1_800_000_000
_ALICE: Final = "sip:alice@example.com"
_BOB: Final = "sip:bob@example.com"


def record(kind: str, *fields: bytes, at_s: float = T0_S) -> bytes:
    return b"".join(map(netstring, (f"{at_s:.6f}".encode(), kind.encode(), *fields)))


def contact(number: int, expires_s: int = T0_S + 600, instance: str = "") -> bytes:
    """The contact `number`, whose ruid is uloc-number."""
    fields = (f"sip:bob@192.0.2.{number}", str(expires_s), instance, f"uloc-{number}")
    return netstring(b"".join(netstring(field.encode()) for field in fields))


def bindings(*contacts: bytes, uri: str = _BOB, at_s: float = T0_S, asked: bool = False) -> bytes:
    return record("known" if asked else "bindings", uri.encode(), b"".join(contacts), at_s=at_s)


def expired(item: bytes, *, aor: str = "bob@example.com", at_s: float = T0_S) -> bytes:
    return record("expired", aor.encode(), item, at_s=at_s)


def gone(call_id: str) -> bytes:
    return record("gone", call_id.encode())


def message(
    kind: str,
    method: str = "INVITE",
    *,
    call_id: str = "call-1",
    from_tag: str = "a",
    to_tag: str = "",
    cseq: int = 1,
    code: int | None = None,
    ruid: str = "",
    callers: bytes = b"",
    contacts: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """Of Alice to Bob."""
    code_text = "" if code is None else str(code)
    texts = (call_id, from_tag, to_tag, str(cseq), method, code_text, "", ruid)
    parties = (_ALICE, '"Alice"', _BOB, "", "<sip:alice@192.0.2.100>")
    fields = [text.encode() for text in (*texts, *parties)]
    return record(kind, *fields, callers, contacts, b"application/sdp" if body else b"", body)


def invite(*contacts: bytes, **values: object) -> bytes:
    given: dict[str, object] = {"contacts": b"".join(contacts), "body": b"v=0\r\n"} | values
    return message("invite", **given)  # type: ignore[arg-type]
