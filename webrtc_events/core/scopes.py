"""Which scopes a caller needs. Pure."""

from collections.abc import Collection

from webrtc_events.core.errors import InsufficientScope
from webrtc_events.core.model import Caller

__all__ = ["require_any_scope"]


def require_any_scope(caller: Caller, scopes: Collection[str]) -> None:
    """
    Raises:
        InsufficientScope: the token has none of `scopes`.
    """
    if caller.scopes.isdisjoint(scopes):
        raise InsufficientScope(scopes)
