"""Registrations at the registrar that Janus keeps for its endpoints: known to the service, renewed, ended."""

import logging
from dataclasses import dataclass
from typing import Final

import msgspec

from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.gateways.call_signals import Mark
from webrtc_events.gateways.janus.events import JanusEvent, SipData
from webrtc_events.gateways.janus.records import Handle, Records, Registered
from webrtc_events.gateways.network_requests import PublishEvent
from webrtc_events.gateways.ownership import Endpoint, Ownership
from webrtc_events.gateways.registration_events import RegistrationEnd, registration_ends
from webrtc_events.gateways.sip_message import SipMessage, contact_expires

__all__ = ["Registrations"]

log = logging.getLogger(__name__)

# Where neither the registrar nor the plugin says: the plugin's own default.
_DEFAULT_S: Final = 3600
# A response counts for this long at most, whatever it says.
_MAX_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Registrations:
    """`grace_s` is how long the service waits for a renewal after the registrar's own time.

    `are_published`: or another adapter does it, and this one only says whose calls are.
    """

    ownership: Ownership
    grace_s: int
    lines: LineLimit
    are_published: bool = True

    def registering(self, handle: Handle, message: SipMessage, *, incoming: bool) -> Handle:
        """What a REGISTER, or its response, says of the contact and of its time."""
        if not incoming and message.code is None and message.contacts:
            return msgspec.structs.replace(handle, contact=_uri(message.contacts[0]))
        if incoming and message.code is not None and 200 <= message.code < 300:
            return msgspec.structs.replace(handle, granted_s=_granted_s(handle, message))
        return handle

    def registered(
        self, records: Records, key: str, handle: Handle, event: JanusEvent, data: SipData
    ) -> Handle:
        """Makes a registration known, or renews it."""
        if data.identity is None:
            return handle
        handle = msgspec.structs.replace(handle, identity=data.identity, helper=data.helper)
        if data.helper:
            # Another line of an endpoint that has registered: it has a call more, and no registration.
            found = records.registration_of_identity(event.emitter, data.identity)
            return msgspec.structs.replace(handle, registration=found)
        if data.type == "guest":
            # Nobody has checked who it is.
            if self.lines.admit("guest") is not None:
                log.info("a guest is not published: handle %s of %s", event.handle, event.emitter)
            return msgspec.structs.replace(handle, registration=None)
        owned = self.ownership.of(Endpoint(data.identity, handle.opaque_id))
        if owned is None:
            self._warn_of_nobodys(data.identity)
            return msgspec.structs.replace(handle, registration=None)
        now_ms = records.transaction.now_ms
        granted_s = handle.granted_s if handle.granted_s is not None else _DEFAULT_S
        expires_ms = now_ms + 1000 * (min(granted_s, _MAX_S) + self.grace_s)
        known = records.registered(owned.registration_id)
        held = {held_by: until for held_by, until in known.handles.items() if until > now_ms}
        records.put_registered(owned.registration_id, Registered({**held, key: expires_ms}))
        records.put_identity(event.emitter, data.identity, owned.registration_id)
        if self.are_published:
            records.transaction.append([owned.put(max(expires_ms, *held.values(), expires_ms))])
        return msgspec.structs.replace(handle, registration=owned.registration_id)

    def ended(
        self, records: Records, key: str, handle: Handle, emitter: str, description: str, mark: Mark
    ) -> Handle:
        """The handle no longer holds its registration; the last one to hold it ends it."""
        registration_id = handle.registration
        without = msgspec.structs.replace(handle, registration=None, granted_s=None)
        if registration_id is None:
            return without
        known = records.registered(registration_id)
        if key not in known.handles:
            return without
        now_ms = records.transaction.now_ms
        left = {held_by: until for held_by, until in known.handles.items() if held_by != key}
        records.put_registered(registration_id, Registered(left))
        if any(until > now_ms for until in left.values()):
            return without
        if handle.identity is not None:
            records.put_identity(emitter, handle.identity, None)
        if self.are_published:
            reason = RegistrationEnd.NETWORK_TERMINATED
            end = registration_ends(registration_id, reason, description, mark)
            records.transaction.append([PublishEvent(end)])
        return without

    def _warn_of_nobodys(self, identity: str) -> None:
        # It comes again with each renewal.
        if (left_out := self.lines.admit("nobody")) is not None:
            log.warning(
                "%s belongs to nobody: no rule of --registrations fits, and it is not published%s",
                PersonalData(identity),
                f" ({left_out} more such lines left out)" if left_out else "",
            )


def _granted_s(handle: Handle, message: SipMessage) -> int | None:
    """What the registrar grants to the handle's contact; its answer may list other devices too."""
    own = [contact for contact in message.contacts if _uri(contact) == handle.contact]
    found = [contact_expires(contact) for contact in own or message.contacts[:1]]
    if found and found[0] is not None:
        return found[0]
    header = message.headers.get("expires", "")
    return int(header) if header.isascii() and header.isdigit() and len(header) < 10 else None


def _uri(contact: str) -> str:
    return contact.partition("<")[2].partition(">")[0] if "<" in contact else contact.partition(";")[0]
