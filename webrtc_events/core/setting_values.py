"""What the text of a setting may say: one function for each kind; ValueError says what it must be."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

import jsonschema_rs

from webrtc_events.core.port_set import PortSet

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = [
    "HostPort",
    "IPNetwork",
    "PrivateKey",
    "apis",
    "base_path",
    "bearer_token",
    "channels_url",
    "choice",
    "console_url",
    "count",
    "decode_secret_key",
    "dns_name",
    "file",
    "flag",
    "host_port",
    "https_url",
    "networks",
    "openid_url",
    "origins",
    "ports",
    "secret_keys",
    "signing_keys",
    "switch",
    "text",
    "uri_reference",
]

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
PrivateKey: TypeAlias = "Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey"
"""What notifications are signed with. A text, since few processes need the library behind it."""


class HostPort(NamedTuple):
    """Where something listens; port 0: at a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text(raw: str) -> str:
    if not raw:
        raise ValueError("must not be empty")
    return raw


def flag(raw: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[raw.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def switch(raw: str) -> bool:
    try:
        return {"on": True, "off": False}[raw]
    except KeyError:
        raise ValueError("must be on or off") from None


def choice(*words: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return raw

    return parse


def count(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"

    def parse(raw: str) -> int:
        fits = raw.isascii() and raw.isdigit() and len(raw) < 19 and int(raw) >= minimum
        if not fits or (maximum is not None and int(raw) > maximum):
            raise ValueError(f"must be a whole number {bounds}")
        return int(raw)

    return parse


def networks(raw: str) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in raw.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"must be CIDR networks separated by commas: {error}") from None


def apis(raw: str) -> frozenset[str]:
    apis = frozenset(part.strip() for part in raw.split(","))
    if not apis <= {"public", "network"}:
        raise ValueError("must be `public`, `network` or both separated by a comma")
    return apis


def base_path(raw: str) -> str:
    """Without a final slash; '' for none. It must not begin as the service's own paths do."""
    path = raw.rstrip("/")
    if path and (not _BASE_PATH.fullmatch(path) or path.split("/")[1] in _OWN_PATHS):
        raise ValueError("must be a path such as /camara, and not begin as a path of the service itself does")
    return path


def channels_url(raw: str) -> str:
    """An absolute https URL without anything that two programs may write in two ways; no final slash."""
    if not _CHANNELS_URL.fullmatch(raw):
        raise ValueError("must be an https URL in lower case, with a path, without a final slash")
    return raw


def https_url(raw: str) -> str:
    """An absolute https URL; sinks/sink_url.py says more of those that may be sinks."""
    try:
        parts = urlsplit(raw)
        # An `@` may stand behind a password.
        usable = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an https URL without a user and a fragment")
    return raw


def bearer_token(raw: str) -> str:
    """As it stands behind `Bearer`. Source: RFC 6750, 2.1."""
    if not _BEARER_TOKEN.fullmatch(raw):
        raise ValueError("must be letters, digits and -._~+/ only, with = at the end")
    return raw


def origins(raw: str) -> frozenset[str]:
    """Web origins, as browsers send them; of loopback hosts the port may be `*`."""
    found = frozenset(part.strip() for part in raw.split(",") if part.strip())
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            # An `@` may stand behind a password, which may have any character.
            shown = "one that is none" if "@" in raw else repr(origin)
            raise ValueError(
                f"names {shown}; an origin is such as https://app.example, and of loopback hosts "
                "also http://localhost:*"
            )
    return found


_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_OWN_PATHS = frozenset(
    {"webrtc-events", "network", "channels", "healthz", "readyz", "metrics", "console", "issuer", "softphone"}
)
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}=*")
_CONSOLE_PATHS = frozenset(
    {"_static", "calls", "healthz", "login", "overview", "readyz", "subscriptions", "simulate"}
)
_CHANNELS_URL = re.compile(r"https://[a-z0-9.-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(
    r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?|https?://(localhost|127\.0\.0\.1|\[::1\]):\*"
)


def file(raw: str) -> Path:
    if not _is_file(raw):
        raise ValueError(f"names {raw!r}, which is no file")
    return Path(raw)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:
        # Such as a name that no system takes, or a directory that is not to be looked into.
        return False


_FEWEST_RSA_BITS = 2048


def host_port(raw: str) -> HostPort:
    """A name or an address of this machine, and a port; an IPv6 address in brackets."""
    host, _, port = raw.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ValueError("must be host:port, such as 127.0.0.1:9464 or [::1]:9464")
    return HostPort(host, int(port))


def signing_keys(raw: str) -> tuple[PrivateKey, ...]:
    """Of PEM files separated by commas: what `Settings.signing_keys` are."""
    keys: list[PrivateKey] = []
    if "-----" in raw:
        raise ValueError("must name PEM files, and holds a key itself")
    for number, name in enumerate(filter(None, map(str.strip, raw.split(","))), 1):
        if not _is_file(name):
            # Not its name: who put a key there has to find it nowhere else.
            raise ValueError(f"names a file that does not exist, as number {number}")
        key = _private_key(name)
        if key.public_key() in [key.public_key() for key in keys]:
            raise ValueError(f"names the key of {name!r} twice")
        keys.append(key)
    return tuple(keys)


def _private_key(name: str) -> PrivateKey:
    # Most deployments do not sign, and no command is to wait for this.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = Path(name).read_bytes()
    except OSError as error:
        raise ValueError(f"names {name!r}, which cannot be read: {error.strerror}") from None
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError(f"names {name!r}, which is protected by a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"names {name!r}, which holds no private key in PEM") from None
    if not _signs(key):
        raise ValueError(
            f"names {name!r}, which is no Ed25519 key, EC key on P-256 or P-384, "
            f"or RSA key of at least {_FEWEST_RSA_BITS} bits"
        )
    return cast("PrivateKey", key)


def _signs(key: object) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= _FEWEST_RSA_BITS
    return isinstance(key, ed25519.Ed25519PrivateKey)


_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PORT_FAULT = "must be ports and ranges from 1 to 65535 separated by commas, such as 443,1024-65535"


def ports(raw: str) -> PortSet:
    spans: list[tuple[int, int]] = []
    for part in raw.split(","):
        match = _PORTS.fullmatch(part.strip())
        if match is None:
            raise ValueError(_PORT_FAULT)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= 65535:
            raise ValueError(_PORT_FAULT)
        spans.append((first, last))
    return PortSet.of(*spans)


_URI_REFERENCE = jsonschema_rs.Draft202012Validator({"format": "uri-reference"}, validate_formats=True)


def uri_reference(raw: str) -> str:
    """What every outgoing event must carry; a bad one would make all of them invalid."""
    if not raw or not _URI_REFERENCE.is_valid(raw):
        raise ValueError("must be a URI reference, such as /webrtc-events or https://operator.example/calls")
    return raw


_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)


def dns_name(raw: str) -> str:
    """A name, not an address: its last label is no number (RFC 3696, 2)."""
    labels = raw.split(".")
    if len(raw) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError("must be a DNS name, such as events.operator.example")
    return raw


_OPENID_FAULT = "must be an https URL (http only on loopback)"


def openid_url(raw: str) -> str:
    """https anywhere; http on loopback only, where nobody can stand in between."""
    try:
        parts = urlsplit(raw)
    except ValueError:
        # Its own message repeats a part of the URL, where a password may stand.
        raise ValueError(_OPENID_FAULT) from None
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return raw
    if parts.scheme == "http" and _is_loopback(host):
        return raw
    raise ValueError(_OPENID_FAULT)


_USUAL_PORTS = {"https": ":443", "http": ":80"}


def console_url(raw: str) -> str:
    """Where a browser finds the console: scheme, host, port and perhaps a path, without a final slash."""
    parts = urlsplit(openid_url(raw))
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme, host and path only, such as https://console.operator.example")
    # As browsers write it in Host and Origin.
    host = f"{parts.scheme}://{parts.netloc.lower()}".removesuffix(_USUAL_PORTS[parts.scheme])
    path = parts.path.rstrip("/")
    if path and (not _BASE_PATH.fullmatch(path) or path.split("/")[1] in _CONSOLE_PATHS):
        raise ValueError("must have a path such as /console, or none, and not one of the console itself")
    return host + path


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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


def secret_keys(raw: str) -> tuple[bytes, ...]:
    """One or more, separated by commas."""
    return tuple(decode_secret_key(part.strip()) for part in raw.split(","))
