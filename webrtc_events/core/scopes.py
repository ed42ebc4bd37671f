"""Which scopes a caller needs. Pure."""

from collections.abc import Collection

from webrtc_events.core.errors import InsufficientScope
from webrtc_events.core.model import Caller

__all__ = ["require_all_scopes", "require_any_scope"]


def require_any_scope(caller: Caller, scopes: Collection[str]) -> None:
    """
    Raises:
        InsufficientScope: the token has none of `scopes`.
    """
    if caller.scopes.isdisjoint(scopes):
        raise InsufficientScope(scopes)


def require_all_scopes(caller: Caller, scopes: Collection[str]) -> None:
    """
    Raises:
        InsufficientScope: the token lacks one of `scopes`, or more; it names those.
    """
    lacking = [scope for scope in scopes if scope not in caller.scopes]
    if lacking:
        raise InsufficientScope(lacking, every=True)
