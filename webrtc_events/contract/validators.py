"""Compiled schemas, which say whether an instance is valid and where it is not."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from webrtc_events.contract.faults import Fault, KnownMembers, faults_of, is_large
from webrtc_events.contract.unknown_members import MemberRules

__all__ = ["KnownItems", "Validator"]


@dataclass(frozen=True, slots=True)
class KnownItems:
    """Items of an array: each conforms to `held_to`, or None: that is not known. `count` None: any number."""

    held_to: "Validator | None"
    count: int | None


class Validator:
    """A compiled schema; formats are checked. Safe to share between threads.

    `known` tells the members that a fault compares names with. `items` is that of an array's items, where an
    array of which each item conforms does too, if there are not too many; else None. `members` says
    which names a body may use; None: all that the schema does not forbid.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        known: KnownMembers = lambda _: None,
        items: "Validator | None" = None,
        members: MemberRules | None = None,
    ) -> None:
        self._items = items
        self._max_items: float = schema.get("maxItems", math.inf)
        self._known = known
        self._members = members
        self._compiled = jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, mask="the value"
        )

    def takes(self, items: KnownItems) -> bool:
        """Whether an array of these conforms. False: that is to be found out."""
        if self._items is None or items.held_to is not self._items:
            return False
        return (math.inf if items.count is None else items.count) <= self._max_items

    def is_valid(self, instance: Any) -> bool:
        if not self._compiled.is_valid(instance):
            return False
        # Of notifications, each of which is asked about, there is no more to know.
        return self._members is None or next(self._unknown(instance), None) is None

    def first_fault(self, instance: Any) -> Fault | None:
        """None: the instance is valid."""
        if self.is_valid(instance):
            return None
        return next(self.faults(instance), None)

    def faults(self, instance: Any) -> Iterator[Fault]:
        """Every fault, in the schema's order; of a very large instance one.

        All errors are made before the first can be had, which takes seconds for 100,000 of them.
        """
        found = list(faults_of(self._errors(instance), instance, self._known))
        yield from found
        for fault in self._unknown(instance):
            # What is missing in an object tells already what may be misspelt there.
            if not any(one.path == fault.path and one.message.endswith(fault.message) for one in found):
                yield fault

    def _unknown(self, instance: Any) -> Iterator[Fault]:
        return iter(()) if self._members is None else self._members.faults(instance)

    def _errors(self, instance: Any) -> Iterable[jsonschema_rs.ValidationError]:
        if not is_large(instance):
            return self._compiled.iter_errors(instance)
        try:
            self._compiled.validate(instance)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []
