"""A client's subscriptions, oldest first: all of them page by page, whose each is, or some of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import ListedSubscription, OwnedSubscription, Status, Subscription
from webrtc_events.store.client_index import ClientIndex
from webrtc_events.store.connection import Connection
from webrtc_events.store.listed_records import (
    FIELDS_OF_LISTED,
    FIELDS_OF_OWNED,
    UnusualRecordError,
    read_listed,
    read_owned,
)
from webrtc_events.store.record_texts import RecordTexts
from webrtc_events.store.subscription_reads import read_subscriptions

__all__ = ["PAGE", "SubscriptionLists"]

# To make a page takes a process some 1 ms, in which its other requests wait.
PAGE = 100

_Read = TypeVar("_Read", ListedSubscription, OwnedSubscription)


@dataclass(frozen=True, slots=True)
class _Reading(Generic[_Read]):
    """How a text becomes a value, and how a subscription that was read whole does."""

    texts: RecordTexts
    of_text: Callable[[str, str], _Read]
    of: Callable[[Subscription], _Read]


class SubscriptionLists:
    """One that cannot be read is named in the log only. Every method may raise `errors.Unavailable`, and

    NewerRelease: a newer release wrote one of them.
    """

    def __init__(self, connection: Connection, client_index: ClientIndex) -> None:
        self._connection = connection
        self._client_index = client_index
        self._listed = _Reading(RecordTexts(connection, FIELDS_OF_LISTED), read_listed, ListedSubscription.of)
        self._owned = _Reading(RecordTexts(connection, FIELDS_OF_OWNED), read_owned, OwnedSubscription.of)

    def pages_of(self, client: str) -> Iterator[list[ListedSubscription]]:
        """Every subscription of a client, page by page."""
        return self._pages(self._client_index.pages(client), self._listed)

    def owned_by(self, client: str) -> Iterator[list[OwnedSubscription]]:
        """The same, for whoever only asks which there are: it takes a third of the time."""
        return self._pages(self._client_index.pages(client), self._owned)

    def read(self, ids: Sequence[str]) -> list[ListedSubscription]:
        """Those of these that there are."""
        return [found for page in self._pages(iter([ids]), self._listed) for found in page]

    def _pages(self, ids: Iterator[Sequence[str]], reading: _Reading[_Read]) -> Iterator[list[_Read]]:
        for records in reading.texts.read(ids):
            for first in range(0, len(records), PAGE):
                yield self._page(records[first : first + PAGE], reading)

    def _page(self, records: Sequence[tuple[str, str]], reading: _Reading[_Read]) -> list[_Read]:
        found: list[_Read | None] = []
        unusual: dict[str, int] = {}
        for subscription_id, text in records:
            try:
                found.append(reading.of_text(subscription_id, text))
            except UnusualRecordError:
                unusual[subscription_id] = len(found)
                found.append(None)
        for whole in read_subscriptions(self._connection, unusual) if unusual else ():
            if isinstance(whole, DamagedRecord):
                self._connection.damage.report(whole.name, whole.why)
            else:
                found[unusual[whole.id]] = reading.of(whole)
        return [one for one in found if one is not None and one.status is not Status.DELETED]
