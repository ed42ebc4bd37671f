"""The URLs that sinks may have, checked before any name is resolved. Pure."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote

import idna

from webrtc_events.sinks.addresses import AddressPolicy

__all__ = ["check_sink_url"]

_MAX_URL = 2048
_URL = re.compile(r"https://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_HTTPS = "443"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_MAX_NAME = 253
# A last label like these makes inet_aton, hence getaddrinfo, read the whole host as an IPv4 address.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986: pchar, "/" and "?", and "%" of escapes that are there already.
_SAFE = "/?%:@!$&'()*+,;=-._~"


def check_sink_url(url: str, policy: AddressPolicy) -> str:
    """The ASCII URL to give to libcurl: host lower-case, IDN as A-labels, IP literals canonical.

    Whatever two parsers might read in two ways is refused rather than repaired.

    Raises:
        ValueError: no such URL, or its literal address is refused by `policy`. The message is
            fit for an API answer. The addresses of a name are checked when it is connected to.
    """
    if len(url) > _MAX_URL:
        raise ValueError(f"sink must have at most {_MAX_URL} characters")
    if any(_is_blank(character) for character in url):
        raise ValueError("sink must not contain spaces or control characters")
    if "\\" in url:
        raise ValueError("sink must not contain a backslash")
    if "#" in url:
        raise ValueError("sink must not have a fragment")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError("sink must be an https:// URL")
    host, port = _split_authority(parts["authority"])
    checked = f"https://{_check_host(host, policy)}{_check_port(port, policy)}{_check_rest(parts['rest'])}"
    if len(checked) > _MAX_URL:
        raise ValueError(f"sink must have at most {_MAX_URL} characters once percent-encoded")
    return checked


def _is_blank(character: str) -> bool:
    # Printable leaves out controls, separators, lone surrogates and invisible format characters.
    return character == " " or not character.isprintable()


def _split_authority(authority: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise ValueError("sink must not contain a user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("sink must have a valid host and port")
    if not parts["host"]:
        raise ValueError("sink must have a host")
    return parts["host"], parts["port"]


def _check_port(port: str | None, policy: AddressPolicy) -> str:
    given = _HTTPS if port is None else port
    if not _PORT.fullmatch(given) or int(given) not in policy.ports:
        raise ValueError(f"sink must use one of the ports {policy.ports}")
    return "" if given == _HTTPS else f":{given}"


def _check_host(host: str, policy: AddressPolicy) -> str:
    if host.startswith("["):
        return f"[{_check_ipv6(host[1:-1], policy)}]"
    name = _to_ascii(host)
    if _NUMERIC_LABEL.fullmatch(name.removesuffix(".").rpartition(".")[2]):
        return _check_address(_parse_inet_aton(name), policy)
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("sink must have a valid host name")
    return name


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("sink must have a valid host name") from None


def _check_ipv6(text: str, policy: AddressPolicy) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise ValueError("sink must have a valid IPv6 address in its brackets") from None
    return _check_address(address, policy)


def _check_address(address: IPv4Address | IPv6Address, policy: AddressPolicy) -> str:
    text = str(address)
    if not policy.allows(text):
        raise ValueError(f"sink must not be at {text}, which is not a public address")
    return text


def _parse_inet_aton(text: str) -> IPv4Address:
    """Every spelling of inet_aton: 1 to 4 parts, decimal, 0 octal, 0x hex; the last fills what is left."""
    try:
        *first, last = [_parse_part(part) for part in text.split(".")]
    except ValueError:
        raise ValueError("sink must have a valid IPv4 address") from None
    room = 4 - len(first)
    if room < 1 or any(part > 255 for part in first) or last >= 256**room:
        raise ValueError("sink must have a valid IPv4 address")
    value = last
    for position, part in enumerate(first):
        value += part << (24 - 8 * position)
    return IPv4Address(value)


_HEX_PART = re.compile(r"0x[0-9a-f]{1,16}")
_OCTAL_PART = re.compile(r"0[0-7]{0,16}")
_DECIMAL_PART = re.compile(r"[1-9][0-9]{0,15}")


def _parse_part(part: str) -> int:
    for pattern, base in ((_HEX_PART, 16), (_OCTAL_PART, 8), (_DECIMAL_PART, 10)):
        if pattern.fullmatch(part):
            return int(part, base)
    raise ValueError


def _check_rest(rest: str) -> str:
    if _BAD_ESCAPE.search(rest):
        raise ValueError("sink must escape with % and two hexadecimal digits")
    path = rest if rest.startswith("/") else f"/{rest}"
    return quote(path, safe=_SAFE)
