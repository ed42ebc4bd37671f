"""Values as the families that Prometheus's client library writes."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from webrtc_events.telemetry.families import FAMILIES, PREFIX, Family, Kind
from webrtc_events.telemetry.snapshot import HistogramValue, Labels, Snapshot, Value, merged

__all__ = ["registry_of"]


def registry_of(snapshots: Callable[[], Iterable[Snapshot]]) -> CollectorRegistry:
    """A registry with all that these processes say when it is asked, and nothing else."""
    registry = CollectorRegistry()
    registry.register(_Collector(snapshots))
    return registry


class _Collector(Collector):
    def __init__(self, snapshots: Callable[[], Iterable[Snapshot]]) -> None:
        self._snapshots = snapshots

    def describe(self) -> Iterable[Metric]:
        """So that nobody asks the processes for the names."""
        return [_metric(family, {}) for family in FAMILIES.values()]

    def collect(self) -> Iterator[Metric]:
        values = merged(self._snapshots())
        for name, family in FAMILIES.items():
            if name in values:
                yield _metric(family, values[name])


def _metric(family: Family, values: Mapping[Labels, Value]) -> Metric:
    name = PREFIX + family.name
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(name, family.help, labels=family.labels)
            for labels, value in sorted(values.items()):
                counter.add_metric(labels, _number(value))
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(name, family.help, labels=family.labels)
            for labels, value in sorted(values.items()):
                gauge.add_metric(labels, _number(value))
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
            for labels, value in sorted(values.items()):
                if isinstance(value, HistogramValue) and len(value.counts) == len(family.bounds) + 1:
                    histogram.add_metric(labels, _buckets(family, value), value.total)
            return histogram


def _buckets(family: Family, value: HistogramValue) -> list[tuple[str, float]]:
    """Each with all that is in those below it."""
    found: list[tuple[str, float]] = []
    count = 0
    for bound, of_bucket in zip((*family.bounds, float("inf")), value.counts, strict=True):
        count += of_bucket
        found.append(("+Inf" if bound == float("inf") else str(bound), count))
    return found


def _number(value: Value) -> float:
    return float("nan") if isinstance(value, HistogramValue) else value
