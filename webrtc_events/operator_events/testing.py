"""A test event for operators, which takes the way of all."""

from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.conditions import Kind, Occurrence
from webrtc_events.store.operator_outbox import OperatorOutbox

__all__ = ["append_test"]


def append_test(outbox: OperatorOutbox, source: str, message: str) -> str:
    """Returns the id of the event.

    Raises:
        Unavailable: the store cannot be reached.
    """
    occurrence = Occurrence(Kind.TEST, "operator-events", {"message": message})
    written = OperatorEvents(source).written(occurrence, outbox.conditions().now_ms)
    outbox.append(written.text)
    return written.id
