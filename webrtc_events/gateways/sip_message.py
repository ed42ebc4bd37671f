"""A SIP message as text, read as far as adapters need it. Pure. Source: RFC 3261, sections 7 and 25."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from webrtc_events.gateways.sdp import kept_sdp

__all__ = ["SipMessage", "contact_expires", "parse_sip", "tag_of"]

_COMPACT: Final[Mapping[str, str]] = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?")
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
_TAG = re.compile(r";\s*tag=([^;\s>]+)", re.IGNORECASE)
_EXPIRES = re.compile(r";\s*expires=\"?([0-9]{1,10})", re.IGNORECASE)
_MAX_HEADERS: Final = 256
# Characters of a header: splitting them takes the square where it is made to.
_MAX_CONTACTS: Final = 4096


@dataclass(frozen=True, slots=True)
class SipMessage:
    """`method` is that of the CSeq for a response, whose `code` is not None. Header names are in lower case.

    Of a header that comes several times, `headers` has the first; `contacts` has all.
    """

    method: str
    code: int | None
    phrase: str
    uri: str
    headers: Mapping[str, str]
    contacts: tuple[str, ...]
    body: str

    @property
    def call_id(self) -> str:
        return self.headers.get("call-id", "")

    @property
    def from_tag(self) -> str | None:
        return tag_of(self.headers.get("from", ""))

    @property
    def to_tag(self) -> str | None:
        return tag_of(self.headers.get("to", ""))

    @property
    def sequence(self) -> int:
        """Of the CSeq; 0 where it is unreadable."""
        digits = self.headers.get("cseq", "").partition(" ")[0]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0

    @property
    def sdp(self) -> str | None:
        """The body, where it is a session description; a part of a multipart body counts."""
        start = self.body.find("v=0")
        if start < 0 or "\nm=" not in self.body:
            return None
        kind = self.headers.get("content-type", "application/sdp").lower()
        if kind.startswith("application/sdp"):
            return kept_sdp(self.body[start:])
        if kind.startswith("multipart/"):
            return kept_sdp(re.split(r"\r?\n--", self.body[start:], maxsplit=1)[0] + "\r\n")
        return None


def parse_sip(text: str) -> SipMessage | None:
    """None: it is none. What follows the body, by its Content-Length, is left out."""
    head, separator, rest = text.partition("\r\n\r\n")
    if not separator:
        head, _, rest = text.partition("\n\n")
    first, *lines = head.splitlines() or [""]
    headers: dict[str, str] = {}
    contacts: list[str] = []
    for name, value in _unfolded(lines[:_MAX_HEADERS]):
        headers.setdefault(name, value)
        if name == "contact":
            contacts.extend(_split_contacts(value[:_MAX_CONTACTS]))
    status, request = _STATUS_LINE.fullmatch(first.strip()), _REQUEST_LINE.fullmatch(first.strip())
    if (status is None and request is None) or not headers.get("call-id"):
        return None
    method = request[1] if request else headers.get("cseq", "").rpartition(" ")[2].upper()
    return SipMessage(
        method=method,
        code=int(status[1]) if status else None,
        phrase=(status[2] or "") if status else "",
        uri=request[2] if request else "",
        headers=headers,
        contacts=tuple(contacts),
        body=_body(rest, headers.get("content-length")),
    )


def tag_of(header: str) -> str | None:
    """The tag of a From or To header."""
    found = _TAG.search(header)
    return None if found is None else found[1]


def contact_expires(contact: str) -> int | None:
    """The seconds that a contact of a REGISTER's response is granted."""
    found = _EXPIRES.search(contact)
    return None if found is None else int(found[1])


def _unfolded(lines: list[str]) -> Iterator[tuple[str, str]]:
    whole: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and whole:
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    for line in whole:
        name, colon, value = line.partition(":")
        if colon:
            name = name.strip().lower()
            yield _COMPACT.get(name, name), value.strip()


def _split_contacts(value: str) -> list[str]:
    """At the commas outside of quotes and angle brackets."""
    return [part.strip() for part in re.findall(r"(?:\"(?:[^\"\\]|\\.)*\"|<[^>]*>|[^,\"<])+", value)]


def _body(rest: str, length: str | None) -> str:
    if length is None or not (length.isascii() and length.isdigit() and len(length) <= 7):
        return rest
    # It counts bytes.
    return rest.encode("utf-8", "surrogatepass")[: int(length)].decode("utf-8", "replace")
