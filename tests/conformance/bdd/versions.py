"""The versions of the public contract, as a scenario's client and its sink meet them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tests.api.conftest import ALL_SCOPES, PREFIX, PUBLIC
from tests.harness import device_subscriptions as v0_3
from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract

__all__ = ["V0_2", "V0_3", "Version"]


@dataclass(frozen=True, slots=True)
class Version:
    """`prefix` is that of its types on the wire, `scopes` are all that a token of it may have.

    `load` reads its document, in the strict form of its notifications if that is asked for.
    """

    name: str
    base_path: str
    prefix: str
    scopes: str
    load: Callable[[bool], Contract]

    @property
    def subscriptions(self) -> str:
        return f"{self.base_path}/subscriptions"

    def types(self, kinds: Sequence[str]) -> list[str]:
        return [self.prefix + kind for kind in kinds]


@cache
def _public(strict: bool) -> Contract:
    return load_public(strict_cloudevents=strict)


V0_2 = Version("0.2", PUBLIC, PREFIX, ALL_SCOPES, _public)


@cache
def _subscriptions(strict: bool) -> Contract:
    """It has one form, which is strict."""
    return load_subscriptions()


V0_3 = Version("0.3", v0_3.BASE_PATH, v0_3.PREFIX, v0_3.SCOPES, _subscriptions)
