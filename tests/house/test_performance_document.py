"""What `webrtc-events bench` compares with is what docs/performance.md says."""

import pytest

from tests.harness.documents import Document
from webrtc_events.cli.bench import words


def said(heading: str, row: str, column: int) -> str:
    """A cell of the first table below the heading."""
    (found,) = [cells[column] for cells in Document("performance.md").table(heading) if cells[0] == row]
    return found


@pytest.mark.parametrize(
    ("cell", "compared"),
    [
        (("Acceptance", "publish, batches of 100", 1), f"{words._ACCEPTED:,}"),
        (("Drain", "webrtc-events", 1), f"{words._DELIVERED:,}"),
        (("Latency", "100/s", 1), f"{words._P50_MS} / {words._P99_MS}"),
    ],
    ids=["accepted", "delivered", "latency"],
)
def test_a_self_test_is_compared_with_what_the_document_says(
    cell: tuple[str, str, int], compared: str
) -> None:
    assert said(*cell) == compared
