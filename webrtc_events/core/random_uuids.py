"""Random UUIDs, in great number."""

import os
from collections.abc import Iterator
from typing import Final

__all__ = ["random_uuids"]

_AT_ONCE: Final = 256
_BYTES: Final = 16
# A line for each. Where its digits go.
_LINE: Final = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx\n"
_DIGITS_AT: Final = tuple([at for at, character in enumerate(_LINE) if character == ord("x")])
# What each byte becomes where the version 4 and the variant stand (RFC 9562, 5.4).
_VERSION: Final = bytes(value & 0x0F | 0x40 for value in range(256))
_VARIANT: Final = bytes(value & 0x3F | 0x80 for value in range(256))


def random_uuids() -> Iterator[str]:
    """UUIDs of version 4 without end, from the system's randomness. For one thread.

    `uuid.uuid4` asks the system for each; this takes a tenth of the time.
    """
    while True:
        octets = bytearray(os.urandom(_BYTES * _AT_ONCE))
        octets[6::_BYTES] = octets[6::_BYTES].translate(_VERSION)
        octets[8::_BYTES] = octets[8::_BYTES].translate(_VARIANT)
        yield from _written(octets.hex().encode())


def _written(digits: bytes) -> list[str]:
    """The n-th digit of all of them is put in its place at once: that takes half the time of one by one."""
    text = bytearray(_LINE * _AT_ONCE)
    for number, at in enumerate(_DIGITS_AT):
        text[at :: len(_LINE)] = digits[number :: len(_DIGITS_AT)]
    return text.decode().split()
