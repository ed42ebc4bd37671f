"""The metrics of the processes of a gunicorn, as its hooks see to them."""

import os
from typing import TYPE_CHECKING, Any, Final

from webrtc_events.core.settings import Settings

if TYPE_CHECKING:
    from webrtc_events.telemetry.process_group import ProcessGroup

__all__ = ["forked", "forking", "open_group", "reaped"]

_GROUP: Final[list["ProcessGroup"]] = []
# gunicorn's own name of it: the process is to take the place of another one (USR2).
_UPGRADES: Final = "GUNICORN_PID"


def open_group(server: Any, settings: Settings) -> None:
    """In the parent, before any worker. Without METRICS_ADDRESS there is no group, and nothing to do.

    Raises:
        CannotStart: it cannot listen there.
    """
    if settings.metrics_address is not None:
        # Not needed, and so not loaded, where nobody scrapes.
        from webrtc_events.telemetry.listener import url_of
        from webrtc_events.telemetry.process_group import ProcessGroup

        group = ProcessGroup.open(settings.metrics_address, shares=_UPGRADES in os.environ)
        _GROUP[:] = [group]
        server.log.info("metrics are at %s", url_of(group.listener))


def forking(worker: Any) -> None:
    """In the parent, before the fork."""
    worker.metrics_slot = _GROUP[0].take() if _GROUP else None


def forked(worker: Any) -> None:
    """In the worker."""
    if _GROUP and worker.metrics_slot is not None:
        from webrtc_events.telemetry.process_group import Place, inherit

        inherit(Place(_GROUP[0].slots, worker.metrics_slot, _GROUP[0].listener))


def reaped(worker: Any) -> None:
    """In the parent, after the worker's end."""
    if _GROUP and worker.metrics_slot is not None:
        _GROUP[0].note_end(worker.metrics_slot)
