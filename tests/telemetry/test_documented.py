"""docs/operations/metrics.md has every metric, as it is exposed."""

from tests.harness.documents import Document
from webrtc_events.telemetry.families import FAMILIES, PREFIX


def test_the_table_has_every_metric_in_order() -> None:
    rows = Document("operations/metrics.md").table("All metrics")
    expected = []
    for name, family in FAMILIES.items():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        words = ", ".join(f"`{word}`" for word in family.values)
        expected.append(
            [f"`{PREFIX}{name}`", family.kind.value, f"{labels}: {words}" if words else labels, family.help]
        )
    assert [[*row[:3], row[4]] for row in rows] == expected
