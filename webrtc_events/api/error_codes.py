"""Which error a request with faults is refused with.

Sources: webrtc-events.yaml and webrtc-events-subscriptions.yaml, CreateSubscriptionBadRequest400; CAMARA
event guide, test scenarios.
"""

from collections.abc import Iterable

from webrtc_events.contract.faults import Fault, summary
from webrtc_events.contract.openapi import Operation
from webrtc_events.core.errors import InvalidArgument

__all__ = ["refusal"]

_CODED = frozenset({"createNotificationChannelSubscription", "updateNotificationChannelSubscription"})
"""The operations whose 400 has more codes than one."""

_BY_PATH = {
    "$.protocol": "INVALID_PROTOCOL",
    "$.sinkCredential.credentialType": "INVALID_CREDENTIAL",
    "$.sinkCredential.accessTokenType": "INVALID_TOKEN",
    "$.sink": "INVALID_SINK",
}
_LIMITS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_ORDER = ["INVALID_ARGUMENT", *_BY_PATH.values(), "OUT_OF_RANGE"]


def refusal(operation: Operation, faults: Iterable[Fault]) -> InvalidArgument | None:
    """None: nothing that this operation refuses. It names all faults, the one with the first code first."""
    if operation.id not in _CODED:
        plain = list(faults)
        return InvalidArgument(summary(plain)) if plain else None
    coded = [
        (_code(fault), fault)
        for fault in faults
        if (fault.path, fault.rule) not in operation.left_to_use_case
    ]
    coded.sort(key=lambda fault: _ORDER.index(fault[0]))
    return InvalidArgument(summary([fault for _, fault in coded]), code=coded[0][0]) if coded else None


def _code(fault: Fault) -> str:
    """A value of the wrong JSON type is no protocol, sink or number at all."""
    if fault.rule == "type":
        return "INVALID_ARGUMENT"
    if fault.rule in _LIMITS:
        return "OUT_OF_RANGE"
    return _BY_PATH.get(fault.path, "INVALID_ARGUMENT")
