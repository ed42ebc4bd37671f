"""Session descriptions (RFC 8866) of an audio call, in the form in which browsers write them."""

from random import Random
from uuid import UUID

__all__ = ["Media"]

# Documentation addresses, RFC 5737 and RFC 3849: nothing can be reached there.
_HOSTS = ("192.0.2", "198.51.100", "203.0.113")
_ICE_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Media:
    """One party's side of a call's media. Its transport stays the same for the whole call.

    `random` is asked on construction only, so descriptions may be made in any order.
    """

    def __init__(self, random: Random) -> None:
        self._session = random.randrange(10**18, 10**19)
        self._host = f"{random.choice(_HOSTS)}.{random.randrange(1, 255)}"
        self._port = random.randrange(49_152, 65_536)
        self._user = "".join(random.choices(_ICE_CHARACTERS, k=4))
        self._password = "".join(random.choices(_ICE_CHARACTERS, k=24))
        self._fingerprint = ":".join(f"{random.randrange(256):02X}" for _ in range(32))
        self._ssrc = random.randrange(1, 2**32)
        self._stream = UUID(int=random.getrandbits(128), version=4)
        self._foundation = random.randrange(1, 2**32)

    def offer(self, version: int, direction: str = "sendrecv") -> str:
        """`version` counts the changes of the description, from 1 (RFC 8866, 5.2)."""
        return self._text(version, direction, "actpass", "111 63 9 0 8 13 110 126")

    def answer(self, version: int, direction: str = "sendrecv") -> str:
        """As `offer`; the answerer opens the DTLS connection, and takes what both can (RFC 5763)."""
        return self._text(version, direction, "active", "111 0 8 126")

    def _text(self, version: int, direction: str, setup: str, formats: str) -> str:
        address = f"{self._host} {self._port}"
        lines = [
            "v=0",
            f"o=- {self._session} {version} IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"a=msid-semantic: WMS {self._stream}",
            f"m=audio {self._port} UDP/TLS/RTP/SAVPF {formats}",
            f"c=IN IP4 {self._host}",
            "a=rtcp:9 IN IP4 0.0.0.0",
            f"a=candidate:{self._foundation} 1 udp 2122260223 {address} typ host generation 0",
            f"a=ice-ufrag:{self._user}",
            f"a=ice-pwd:{self._password}",
            "a=ice-options:trickle",
            f"a=fingerprint:sha-256 {self._fingerprint}",
            f"a=setup:{setup}",
            "a=mid:0",
            f"a={direction}",
            "a=rtcp-mux",
            *(line for payload in formats.split() for line in _CODECS[payload]),
            f"a=ssrc:{self._ssrc} cname:{self._user}",
            f"a=ssrc:{self._ssrc} msid:{self._stream} audio",
        ]
        return "".join(f"{line}\r\n" for line in lines)


_CODECS = {
    "111": ("a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"),
    "63": ("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"),
    "9": ("a=rtpmap:9 G722/8000",),
    "0": ("a=rtpmap:0 PCMU/8000",),
    "8": ("a=rtpmap:8 PCMA/8000",),
    "13": ("a=rtpmap:13 CN/8000",),
    "110": ("a=rtpmap:110 telephone-event/48000",),
    "126": ("a=rtpmap:126 telephone-event/8000",),
}
