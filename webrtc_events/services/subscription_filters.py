"""The filters of a list of subscriptions, as an operator gives them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Self

from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.model import ContractVersion, EventType, Status
from webrtc_events.store.subscription_rows import SubscriptionFilter

__all__ = ["STATUSES", "TYPES", "VERSIONS", "ListFilters"]

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
VERSIONS: Final[Mapping[str, frozenset[str]]] = {
    "0.2": frozenset({ContractVersion.V0_2, ContractVersion.NEXT}),
    "0.3": frozenset({ContractVersion.V0_3}),
}
_PSEUDONYM: Final = re.compile(r"~[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ListFilters:
    """What a person typed or chose; empty filters nothing.

    `registration` and `device` are ids, or their pseudonyms.
    """

    client: str = ""
    type: str = ""
    status: str = ""
    registration: str = ""
    host: str = ""
    device: str = ""
    version: str = ""

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
        if filters.version and filters.version not in VERSIONS:
            raise InvalidArgument(f"There is no version {filters.version!r}.")
        return filters

    def given(self) -> dict[str, str]:
        """Those that filter something, for a link."""
        return {name: value for name, value in asdict(self).items() if value}

    def wanted(self, masking: Masking) -> SubscriptionFilter:
        registration, is_registration = _person(self.registration, masking)
        device, is_device = _person(self.device, masking)
        return SubscriptionFilter(
            client=self.client or None,
            registration=registration,
            is_registration=is_registration,
            # UUIDs that differ in case alone are the same.
            device=device and device.lower(),
            is_device=is_device,
            contracts=VERSIONS.get(self.version, frozenset()),
            type=TYPES.get(self.type),
            statuses=STATUSES.get(self.status, frozenset()),
            host=self.host or None,
        )


def _person(given: str, masking: Masking) -> tuple[str | None, Callable[[str], bool] | None]:
    """The id, or what knows it by its pseudonym."""
    if _PSEUDONYM.fullmatch(given) is None:
        return given or None, None
    return None, lambda found: masking.pseudonym(found) == given
