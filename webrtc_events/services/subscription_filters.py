"""The filters of a list of subscriptions, as an operator gives them."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.model import EventType, Status
from webrtc_events.store.subscription_rows import SubscriptionFilter

__all__ = ["STATUSES", "TYPES", "ListFilters"]

TYPES: Final = {
    event_type.rpartition(".")[2]: event_type
    for event_type in EventType
    if event_type is not EventType.SUBSCRIPTION_ENDED
}
STATUSES: Final[Mapping[str, frozenset[Status]]] = {
    "live": frozenset({Status.ACTIVE, Status.ACTIVATION_REQUESTED}),
    "over": frozenset({Status.EXPIRED, Status.INACTIVE, Status.DELETED}),
    **{status.lower(): frozenset({status}) for status in Status},
}
_PSEUDONYM: Final = re.compile(r"~[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ListFilters:
    """What a person typed or chose; empty filters nothing. `registration` is an id, or its pseudonym."""

    client: str = ""
    type: str = ""
    status: str = ""
    registration: str = ""
    host: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """
        Raises:
            InvalidArgument: a type or a status that there is not.
        """
        filters = cls(**{name: given.get(name, "").strip() for name in cls.__slots__})
        if filters.type and filters.type not in TYPES:
            raise InvalidArgument(f"There is no event type {filters.type!r}.")
        if filters.status and filters.status not in STATUSES:
            raise InvalidArgument(f"There is no status {filters.status!r}.")
        return filters

    def given(self) -> dict[str, str]:
        """Those that filter something, for a link."""
        return {name: value for name, value in asdict(self).items() if value}

    def wanted(self, masking: Masking) -> SubscriptionFilter:
        by_pseudonym = _PSEUDONYM.fullmatch(self.registration) is not None
        return SubscriptionFilter(
            client=self.client or None,
            registration=None if by_pseudonym else self.registration or None,
            is_registration=(lambda found: masking.pseudonym(found) == self.registration)
            if by_pseudonym
            else None,
            type=TYPES.get(self.type),
            statuses=STATUSES.get(self.status, frozenset()),
            host=self.host or None,
        )
