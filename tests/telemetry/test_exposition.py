"""The text that Prometheus reads."""

from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.harness.scrapes import parsed
from webrtc_events.telemetry.exposition import registry_of
from webrtc_events.telemetry.families import FAMILIES, Kind
from webrtc_events.telemetry.snapshot import HistogramValue, Snapshot, Value


def everything() -> Snapshot:
    """A value of each family."""
    values: dict[str, dict[tuple[str, ...], Value]] = {}
    for name, family in FAMILIES.items():
        labels = tuple(f"a {label}" for label in family.labels)
        counts = tuple(range(len(family.bounds) + 1))
        values[name] = {labels: HistogramValue(counts, 1.5) if family.kind is Kind.HISTOGRAM else 7}
    return Snapshot(1.0, values)


def text(*snapshots: Snapshot) -> str:
    return generate_latest(registry_of(lambda: snapshots)).decode()


def test_every_family_has_its_type_its_help_and_its_labels() -> None:
    found = parsed(text(everything()))
    for name, family in FAMILIES.items():
        series = f"{name}_count" if family.kind is Kind.HISTOGRAM else name
        assert found(series, **{label: f"a {label}" for label in family.labels}) > 0, name
        assert found.types[name.removesuffix("_total")] == family.kind.value
        assert family.help.endswith(".")


def test_buckets_hold_all_that_is_below_them() -> None:
    values = {"attempt_seconds": {(): HistogramValue((1, 2, *[0] * 9, 4), 2.5)}}
    found = parsed(text(Snapshot(1.0, values)))
    assert found("attempt_seconds_bucket", le="0.005") == 1
    assert found("attempt_seconds_bucket", le="0.01") == 3
    assert found("attempt_seconds_bucket", le="10.0") == 3
    assert found("attempt_seconds_bucket", le="+Inf") == found("attempt_seconds_count") == 7
    assert found("attempt_seconds_sum") == 2.5


def test_openmetrics_is_valid_too() -> None:
    written = generate_openmetrics(registry_of(lambda: [everything()])).decode()
    assert len(list(text_string_to_metric_families(written))) == len(FAMILIES)


def test_names_have_their_unit_and_counters_say_so() -> None:
    for name, family in FAMILIES.items():
        assert name.endswith("_total") == (family.kind is Kind.COUNTER), name
        if family.kind is Kind.HISTOGRAM:
            assert name.endswith("_seconds")
            assert family.bounds == tuple(sorted(family.bounds))


def test_labels_are_of_a_closed_list() -> None:
    """None of a client, a sink's URL, a path or an id."""
    allowed = {"type", "reason", "operation", "api", "status", "state", "process", "check", "outcome"}
    build = {"version", "python", "compiled"}
    for name, family in FAMILIES.items():
        assert set(family.labels) <= (build if name == "build_info" else allowed), name


def test_without_processes_there_is_nothing() -> None:
    assert text() == ""
