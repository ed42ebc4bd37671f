"""How far a reader has read the logs of a channel: a number for each partition, and its text. Pure."""

import re
from collections.abc import Mapping

__all__ = ["format_cursor", "parse_cursor"]

_PAIR = re.compile(r"([0-9]{1,5})-([0-9]{1,16})")
_MAX_PAIRS = 1024


def parse_cursor(text: str) -> dict[int, int]:
    """The number of the last event that was read, by partition: `12-57.40-3`.

    Of a partition that is there twice the smaller counts: what was not read is not passed over.

    Raises:
        ValueError: it is no cursor.
    """
    numbers: dict[int, int] = {}
    for pair in text.split(".", _MAX_PAIRS):
        match = _PAIR.fullmatch(pair)
        if match is None:
            raise ValueError("a cursor is the id of an event, as the stream has it")
        partition, number = int(match[1]), int(match[2])
        numbers[partition] = min(number, numbers.get(partition, number))
    return numbers


def format_cursor(numbers: Mapping[int, int]) -> str:
    return ".".join(f"{partition}-{numbers[partition]}" for partition in sorted(numbers))
