"""Compiled schemas, which say whether an instance is valid and where it is not."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from webrtc_events.contract.faults import Fault, KnownMembers, faults_of, is_large
from webrtc_events.contract.unknown_members import MemberRules

__all__ = ["Validator"]


class Validator:
    """A compiled schema; formats are checked. Safe to share between threads.

    `known` tells the members that a fault compares names with. `items` is that of an array's items, where an
    array of which each item conforms does too; else None. `members` says which names a body may use; None:
    all that the schema does not forbid.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        known: KnownMembers = lambda _: None,
        items: "Validator | None" = None,
        members: MemberRules | None = None,
    ) -> None:
        self.items = items
        self._known = known
        self._members = members
        self._compiled = jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, mask="the value"
        )

    def is_valid(self, instance: Any) -> bool:
        return self._compiled.is_valid(instance) and next(self._unknown(instance), None) is None

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
