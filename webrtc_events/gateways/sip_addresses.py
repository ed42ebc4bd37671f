"""SIP and tel URIs as the addresses that the contract has. Pure.

Sources: RFC 3261, sections 19.1 and 20.10; RFC 3966; network-events.yaml, NetworkAddress.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

__all__ = ["ANONYMOUS", "UNKNOWN", "Party", "address_of", "is_domain", "party_of", "shown_name"]

ANONYMOUS: Final = "sip:anonymous@anonymous.invalid"
"""Source: RFC 3323, section 4.1.1.3."""

_NUMBER = re.compile(r"\+[0-9]{5,15}")
_HOST = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_SEPARATORS = re.compile(r"[ .()-]")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"\s*<([^>]*)>")
_MAX_LENGTH: Final = 512
# Source: RFC 1035, section 2.3.4.
_MAX_HOST: Final = 255


@dataclass(frozen=True, slots=True)
class Party:
    """`address` is None where nothing is known; `name` is the display name."""

    address: str | None = None
    name: str | None = None


UNKNOWN: Final = Party()


def address_of(uri: str, domain: str) -> str:
    """`tel:+...` of a number in international form, else `sip:user@host`.

    `domain` stands for a host that the contract does not take, such as an IP address. What has no user is
    anonymous.
    """
    scheme, colon, rest = uri.strip().partition(":")
    if not colon or scheme.lower() not in ("sip", "sips", "tel"):
        scheme, rest = "sip", uri.strip()
    head = re.split(r"[;?>]", rest, maxsplit=1)[0]
    if scheme.lower() == "tel":
        number = _SEPARATORS.sub("", head)
        return f"tel:{number}" if _NUMBER.fullmatch(number) else _sip(number, "", domain)
    user, at, host = head.rpartition("@")
    if not at:
        # sip:host, or a bare user.
        user, host = (host, "") if uri.strip() == head else ("", host)
    user = unquote(user.partition(":")[0])
    if _NUMBER.fullmatch(_SEPARATORS.sub("", user)):
        return f"tel:{_SEPARATORS.sub('', user)}"
    return _sip(user, host.partition(":")[0], domain)


def is_domain(text: str) -> bool:
    """Whether an address of the contract may have it as its host."""
    return len(text) <= _MAX_HOST and _HOST.fullmatch(text) is not None


def _sip(user: str, host: str, domain: str) -> str:
    if not user:
        return ANONYMOUS
    # quote leaves "~", which the contract does not take.
    quoted = quote(user[:_MAX_LENGTH], safe="!").replace("~", "%7E")
    return f"sip:{quoted}@{host if is_domain(host) else domain}"


def party_of(header: str, domain: str) -> Party:
    """Of a From or To header: `"Bob" <sip:bob@example.com>;tag=1`, `Bob <sip:...>`, or a URI alone."""
    text = header.lstrip()
    if (found := _QUOTED.match(text)) is not None:
        name, uri = re.sub(r"\\(.)", r"\1", found[1]), found[2]
    else:
        name, _, rest = text.partition("<")
        uri, closed, _ = rest.partition(">")
        if not closed or '"' in name:
            return Party(address_of(header, domain))
    return Party(address_of(uri, domain), shown_name(name))


def shown_name(text: str) -> str | None:
    """A display name; None: there is none."""
    return text.strip()[:_MAX_LENGTH] or None
