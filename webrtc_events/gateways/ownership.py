"""To whom a registration at the gateway belongs: rules of the operator, from SIP identities to clients."""

import re
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from webrtc_events.core.clock import format_time
from webrtc_events.core.setting_files import read_text
from webrtc_events.gateways.network_requests import PutRegistration

__all__ = ["Endpoint", "Owned", "Ownership", "OwnershipError", "OwnershipRule"]

_MAX_BYTES: Final = 16 << 20
_FIELDS: Final = frozenset({"user", "host", "identity", "opaque_id", "instance"})
_PLACE = re.compile(r"\{([a-z_]*)\}")
_IDENTITY = re.compile(r"(?:sips?:)?([^@;]*)@([^;:>]+|\[[^\]]*\])", re.IGNORECASE)
_MAX_ID: Final = 256
# Of what a path takes, see network-events.yaml, NetworkRegistrationId.
_NOT_IN_ID = re.compile(r"[\x00-\x1f\x7f/]")
_DEVICES: Final = uuid.UUID("f7a2d9a4-5d0e-5b0c-9f4e-6f1f6f3f2a11")


class OwnershipError(ValueError):
    """The rules are not right. The text says which and why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a gateway knows of an endpoint that has registered.

    `identity` is its address of record, such as sip:alice@example.com: the registrar has checked it.
    `opaque_id`: what the client called itself at the gateway. `instance`: +sip.instance, a URN.
    """

    identity: str
    opaque_id: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """A registration as the service is to know it. `subject` is None where the client acts for itself."""

    registration_id: str
    owner: str
    device_id: str
    subject: str | None = None

    def put(self, expires_ms: int | None) -> PutRegistration:
        """`expires_ms`: since the epoch; None: nothing sets its end."""
        body: dict[str, Any] = {"deviceId": self.device_id, "owner": self.owner}
        if self.subject is not None:
            body["subject"] = self.subject
        if expires_ms is not None:
            body["expiresAt"] = format_time(expires_ms)
        return PutRegistration(self.registration_id, body)


@dataclass(frozen=True, slots=True)
class OwnershipRule:
    """`identity` is a pattern with `*`. The others are texts in which `{user}` and the like are replaced."""

    identity: str
    owner: str
    id: str = "{user}@{host}"
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Ownership:
    """The first rule that fits decides; where none fits, the endpoint is nobody's, and stays unknown."""

    rules: tuple[OwnershipRule, ...] = field(default=())

    @classmethod
    def of_one(cls, owner: str) -> "Ownership":
        """All registrations are this client's."""
        return cls((OwnershipRule(identity="*", owner=owner),))

    @classmethod
    def read(cls, path: Path) -> "Ownership":
        """
        Raises:
            OwnershipError: the file cannot be read, or is not what it should be.
        """
        try:
            document = tomllib.loads(read_text(path, _MAX_BYTES))
        except (ValueError, RecursionError) as error:
            raise OwnershipError(f"{path}: {error}") from None
        rules = document.pop("registration", None)
        if document or not isinstance(rules, list) or not rules:
            raise OwnershipError(f"{path}: it must have tables [[registration]], and nothing else")
        return cls(tuple(_rule(path, number, rule) for number, rule in enumerate(rules, start=1)))

    def of(self, endpoint: Endpoint) -> Owned | None:
        """Whose it is; None: nobody's."""
        found = _IDENTITY.fullmatch(endpoint.identity.strip())
        if found is None:
            return None
        user, host = unquote(found[1]), found[2].lower()
        identity = f"sip:{user}@{host}"
        values = {
            "user": user,
            "host": host,
            "identity": identity,
            "opaque_id": endpoint.opaque_id,
            "instance": endpoint.instance,
        }
        for rule in self.rules:
            if fnmatchcase(identity, rule.identity):
                return _owned(rule, values)
        return None


def _rule(path: Path, number: int, rule: Any) -> OwnershipRule:
    where = f"{path}: registration {number}"
    if not isinstance(rule, dict) or not all(isinstance(value, str) and value for value in rule.values()):
        raise OwnershipError(f"{where}: each value must be a text that is not empty")
    if missing := sorted({"identity", "owner"} - rule.keys()):
        raise OwnershipError(f"{where}: {' and '.join(missing)} must be there")
    if unknown := sorted(rule.keys() - {"identity", "owner", "id", "subject"}):
        raise OwnershipError(
            f"{where}: unknown: {', '.join(unknown)}; there are identity, owner, id, subject"
        )
    for name in ("owner", "id", "subject"):
        if strange := [place for place in _PLACE.findall(rule.get(name, "")) if place not in _FIELDS]:
            raise OwnershipError(f"{where}: {name}: {{{strange[0]}}} is none of {', '.join(sorted(_FIELDS))}")
    return OwnershipRule(**rule)


def _owned(rule: OwnershipRule, values: Mapping[str, str]) -> Owned | None:
    registration_id = _NOT_IN_ID.sub("_", _filled(rule.id, values))[:_MAX_ID]
    if registration_id in (".", ".."):
        # In a path they are steps, not names (RFC 3986, 3.3).
        registration_id = registration_id.replace(".", "_")
    owner = _filled(rule.owner, values)
    if not registration_id or not owner:
        return None
    subject = None if rule.subject is None else _filled(rule.subject, values) or None
    return Owned(registration_id, owner, _device(registration_id, values["instance"]), subject)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], text)


def _device(registration_id: str, instance: str) -> str:
    """The UUID that the device names itself by (RFC 5626, 4.1), else one that stays the same."""
    try:
        return str(uuid.UUID(instance.strip('<>"').removeprefix("urn:uuid:")))
    except ValueError:
        return str(uuid.uuid5(_DEVICES, registration_id))
