"""An array in pages whose items are known to conform, so that nobody validates them again."""

from collections.abc import Iterator
from typing import TypeVar

from webrtc_events.contract.validators import Validator

__all__ = ["ConformingPages"]

_Item = TypeVar("_Item")


class ConformingPages(Iterator[list[_Item]]):
    """`held_to` is the validator of each item; None: they were held to nothing."""

    def __init__(self, pages: Iterator[list[_Item]], held_to: Validator | None) -> None:
        self._pages = pages
        self.held_to = held_to

    def __next__(self) -> list[_Item]:
        return next(self._pages)
