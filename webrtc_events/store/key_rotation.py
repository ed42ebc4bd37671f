"""Seals every stored credential anew with the first of the keys."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webrtc_events.core.credentials import CredentialBox, SealError, sealing_key_id
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.redis.scripts import Call, answers_of, store_errors
from webrtc_events.store.scans import pages_of_keys
from webrtc_events.store.store import Store

__all__ = ["KeyRotation", "Rotated"]


class _ResealOutcome(StrEnum):
    """REPLACED: another credential came meanwhile. Source: lua/reseal.lua."""

    RESEALED = "resealed"
    REPLACED = "replaced"
    NEWER = "newer"
    DAMAGED = "damaged"


@dataclass(slots=True)
class Rotated:
    """How many were `resealed`, and how many had the first key `already`.

    `lacking`: key ids that are not there, with the number of credentials sealed with each.
    `damaged`: subscriptions whose credential opens with no key. `newer`: how many were
    written by a newer release, and skipped.
    """

    resealed: int = 0
    already: int = 0
    newer: int = 0
    lacking: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)


class KeyRotation:
    """May run beside everything else, and again: a credential that is updated meanwhile stays."""

    def __init__(self, store: Store, box: CredentialBox) -> None:
        self._redis = store.client
        self._scripts = store.scripts
        self._partitions = store.partitions
        self._box = box

    def run(self, progress: Callable[[int], None]) -> Rotated:
        """Goes through all subscriptions; `progress` gets how many more, page by page."""
        result = Rotated()
        for keys in pages_of_keys(self._redis, "{*}:subscription:*"):
            found = [
                (subscription_id, self._partition(subscription_id))
                for subscription_id in (key.rpartition(":")[2] for key in keys)
            ]
            places = {
                subscription_id: partition for subscription_id, partition in found if partition is not None
            }
            while places:
                places = self._reseal(places, result)
            progress(len(keys))
        return result

    def _partition(self, subscription_id: str) -> Partition | None:
        return partition_of_subscription(subscription_id, self._partitions)

    def _reseal(self, places: dict[str, Partition], result: Rotated) -> dict[str, Partition]:
        """Returns those whose credential was replaced meanwhile: perhaps with a former key."""
        ids, calls = [], []
        for subscription_id, sealed in zip(places, self._read(places), strict=True):
            if isinstance(sealed, Exception):
                result.damaged.append(subscription_id)
                continue
            renewed = None if sealed is None else self._renewed(subscription_id, sealed, result)
            if renewed is not None:
                partition = places[subscription_id]
                key = partition.subscription(subscription_id)
                ids.append(subscription_id)
                calls.append(Call("reseal", [key], partition.tag, [sealed or "", renewed]))
        outcomes = map(_ResealOutcome, self._scripts.run(calls))
        by_outcome: dict[_ResealOutcome, list[str]] = defaultdict(list)
        for subscription_id, outcome in zip(ids, outcomes, strict=True):
            by_outcome[outcome].append(subscription_id)
        result.resealed += len(by_outcome[_ResealOutcome.RESEALED])
        result.newer += len(by_outcome[_ResealOutcome.NEWER])
        result.damaged += by_outcome[_ResealOutcome.DAMAGED]
        return {
            subscription_id: places[subscription_id]
            for subscription_id in by_outcome[_ResealOutcome.REPLACED]
        }

    def _read(self, places: dict[str, Partition]) -> Sequence[Any]:
        """The sealed credential of each, None if it has none, or the error in its place."""
        with store_errors():
            pipe = self._redis.pipeline()
            for subscription_id, partition in places.items():
                pipe.hget(partition.subscription(subscription_id), "credential")
            sealed: list[Any] = answers_of(pipe)
        return sealed

    def _renewed(self, subscription_id: str, sealed: str, result: Rotated) -> str | None:
        if sealing_key_id(sealed) == self._box.key_id:
            result.already += 1
            return None
        if self._box.lacks_key_of(sealed):
            result.lacking[sealing_key_id(sealed)] += 1
            return None
        try:
            credential = self._box.open(sealed, subscription_id)
        except SealError:
            result.damaged.append(subscription_id)
            return None
        return self._box.seal(credential, subscription_id)
