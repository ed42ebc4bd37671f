"""One frozen object of settings, read from `WEBRTC_EVENTS_*` and validated whole at start."""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from webrtc_events.model import EventType

__all__ = ["PREFIX", "Settings", "SettingsError", "decode_secret_key"]

PREFIX = "WEBRTC_EVENTS_"

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """Every fault of the settings at once, each by its environment name."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def _text(raw: str) -> str:
    if not raw:
        raise ValueError("must not be empty")
    return raw


def _flag(raw: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[raw.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _count(minimum: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not raw.isascii() or not raw.isdigit() or int(raw) < minimum:
            raise ValueError(f"must be a whole number of at least {minimum}")
        return int(raw)

    return parse


def _networks(raw: str) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in raw.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"must be CIDR networks separated by commas: {error}") from None


def _apis(raw: str) -> frozenset[str]:
    apis = frozenset(part.strip() for part in raw.split(","))
    if not apis <= {"public", "network"}:
        raise ValueError("must be `public`, `network` or both separated by a comma")
    return apis


def _file(raw: str) -> Path:
    path = Path(raw)
    if not path.is_file():
        raise ValueError(f"there is no file {raw!r}")
    return path


_URI_REFERENCE = jsonschema_rs.Draft202012Validator({"format": "uri-reference"}, validate_formats=True)


def _uri_reference(raw: str) -> str:
    """What every outgoing event must carry; a bad one would make all of them invalid."""
    if not raw or not _URI_REFERENCE.is_valid(raw):
        raise ValueError("must be a URI reference, such as /webrtc-events or https://operator.example/calls")
    return raw


def _openid_url(raw: str) -> str:
    """https anywhere; http on loopback only, where nobody can stand in between."""
    parts = urlsplit(raw)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return raw
    if parts.scheme == "http" and _is_loopback(host):
        return raw
    raise ValueError("must be an https URL (http only on loopback)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _redis_url(raw: str) -> str:
    if urlsplit(raw).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://, rediss:// or unix://")
    return raw


def decode_secret_key(raw: str) -> bytes:
    """32 bytes of base64url, with or without padding.

    Raises:
        ValueError: anything else.
    """
    try:
        key = base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64url") from None
    if len(key) != 32:
        raise ValueError("must hold exactly 32 bytes, as base64url")
    return key


def _setting(parse: Callable[[str], Any], default: str | None, help_: str, *, secret: bool = False) -> Any:
    """A field with what the environment needs to fill it. `default` None: must be given."""
    meta = {"parse": parse, "default": default, "help": help_, "secret": secret}
    return field(metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a deployment decides. Each field is the environment variable of its upper-case name."""

    redis_url: str = _setting(_redis_url, "redis://127.0.0.1:6379/0", "store: redis://, rediss:// or unix://")
    openid_configuration_url: str = _setting(_openid_url, None, "OIDC discovery document of the token issuer")
    audience: str = _setting(_text, "webrtc-events", "audience that access tokens must name")
    source: str = _setting(_uri_reference, "/webrtc-events", "`source` of outgoing events, a URI reference")
    secret_key: bytes = _setting(
        decode_secret_key, None, "32 bytes, base64url; seals sink credentials in the store", secret=True
    )
    sink_ca_file: Path | None = _setting(_file, "", "PEM file of CAs that sinks may use besides the system's")
    sink_allowed_networks: tuple[IPNetwork, ...] = _setting(
        _networks, "", "CIDRs that sinks may be in besides public addresses"
    )
    strict_cloudevents: bool = _setting(
        _flag, "false", "session-status carries mediaSessionId and status in `data` only"
    )
    next: bool = _setting(_flag, "false", "serve the work in progress on the next contract too, under vwip")
    apis: frozenset[str] = _setting(_apis, "public,network", "which APIs this process serves")
    require_known_registration: bool = _setting(
        _flag, "false", "refuse registrations and sessions that the gateway has not told of"
    )
    max_lifetime_s: int = _setting(_count(0), "0", "longest life of a subscription in seconds; 0: no limit")
    max_subscriptions: int = _setting(_count(0), "10000", "active subscriptions of a client; 0: no limit")
    requests_per_s: int = _setting(_count(0), "100", "requests a second of a client; 0: no limit")
    requests_at_once: int = _setting(_count(1), "200", "requests of a client at once, above its rate")
    token_lead_s: int = _setting(
        _count(0), "10", "seconds before a sink token's expiry at which its subscription ends"
    )
    session_linger_s: int = _setting(
        _count(1), "3600", "seconds after a session's last status at which its subscriptions end"
    )
    state_s: int = _setting(
        _count(1), "86400", "seconds for which the latest state of sessions and registrations is kept"
    )
    partitions: int = _setting(_count(1), "64", "partitions of the store; fixed at its first start")
    ack_replicas: int = _setting(_count(0), "0", "replicas that must hold an event before its 202")
    dedupe_window_s: int = _setting(
        _count(1), "86400", "seconds in which a repeated (source, id) is a duplicate"
    )
    retention_s: int = _setting(_count(1), "3600", "seconds for which an ended subscription is still shown")
    session_invitation_deadline_s: int = _setting(_count(1), "120", "seconds to deliver a session-invitation")
    session_status_deadline_s: int = _setting(_count(1), "600", "seconds to deliver a session-status")
    registration_ends_deadline_s: int = _setting(_count(1), "86400", "seconds to deliver a registration-ends")
    subscription_ended_deadline_s: int = _setting(
        _count(1), "86400", "seconds to deliver a subscription-ended"
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks every setting.

        Raises:
            SettingsError: names every fault, and every `WEBRTC_EVENTS_` name that is no setting.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for each in fields(cls):
            name = PREFIX + each.name.upper()
            raw = environ.get(name, each.metadata["default"])
            if raw is None:
                faults.append(f"{name} must be set: {each.metadata['help']}")
            elif not raw and each.metadata["default"] == "":
                values[each.name] = () if each.metadata["parse"] is _networks else None
            else:
                try:
                    values[each.name] = each.metadata["parse"](raw)
                except ValueError as error:
                    faults.append(f"{name} {error}")
        faults += [f"{name} is not a setting" for name in _unknown(cls, environ)]
        if faults:
            raise SettingsError(faults)
        return cls(**values)

    def deadline_ms(self, event_type: EventType) -> int:
        """How long an event of this type may wait for its sink, in ms."""
        return (
            1000
            * {
                EventType.SESSION_INVITATION: self.session_invitation_deadline_s,
                EventType.SESSION_STATUS: self.session_status_deadline_s,
                EventType.REGISTRATION_ENDS: self.registration_ends_deadline_s,
                EventType.SUBSCRIPTION_ENDED: self.subscription_ended_deadline_s,
            }[event_type]
        )


# Read by the command line before there are settings, see cli.py.
_ELSEWHERE = frozenset({"DATA_DIR"})


def _unknown(cls: type[Settings], environ: Mapping[str, str]) -> list[str]:
    known = {PREFIX + each.name.upper() for each in fields(cls)} | {PREFIX + name for name in _ELSEWHERE}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
