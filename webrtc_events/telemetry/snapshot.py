"""What a process says of itself at a moment, as plain numbers, and what several processes come to."""

from collections.abc import Iterable, Mapping

import msgspec

from webrtc_events.telemetry.families import FAMILIES, Family, Kind, Merge

__all__ = ["HistogramValue", "Snapshot", "add_part", "continued", "ended", "merged"]

Labels = tuple[str, ...]

# How long what is said of something outside of the processes is true.
_FACT_S = 60.0


class HistogramValue(msgspec.Struct, frozen=True, array_like=True):
    """`counts` of its bounds, in their order, and of what is above; `total`: the sum of the values."""

    counts: tuple[int, ...]
    total: float

    def plus(self, other: "HistogramValue") -> "HistogramValue":
        """Of two with other bounds, which two releases may have, the first."""
        if len(self.counts) != len(other.counts):
            return self
        counts = tuple(one + two for one, two in zip(self.counts, other.counts, strict=True))
        return HistogramValue(counts, self.total + other.total)


Value = float | HistogramValue


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """`values`: by family, then by the values of its labels. `at_s`: of the monotonic clock, which all
    processes of a machine share. `lives`: False of a process that ended.
    """

    at_s: float
    values: dict[str, dict[Labels, Value]]
    lives: bool = True


def ended(snapshot: Snapshot) -> Snapshot:
    """What is left of a process that ended: all that grows, and for a while what it said of the store."""
    kept = {
        name: values
        for name, values in snapshot.values.items()
        if name in FAMILIES and (_grows(FAMILIES[name]) or FAMILIES[name].merge is Merge.LATEST)
    }
    return Snapshot(snapshot.at_s, kept, lives=False)


def continued(snapshot: Snapshot, former: Snapshot) -> Snapshot:
    """What the process says, and what the one before it in the same place had counted."""
    values = {name: {**of_family} for name, of_family in snapshot.values.items()}
    for name, of_family in former.values.items():
        family = FAMILIES.get(name)
        if family is not None and _grows(family):
            _add(values.setdefault(name, {}), family, of_family)
    return Snapshot(snapshot.at_s, values)


def add_part(found: dict[Labels, Value], family: Family, values: Mapping[Labels, Value]) -> None:
    """Adds what another part of the same process says: in `serve`, API and worker count in the same words.

    What is no counter they share, and say twice.
    """
    if family.kind is Kind.COUNTER:
        _add(found, family, values)
    else:
        found.update(values)


def merged(snapshots: Iterable[Snapshot]) -> dict[str, dict[Labels, Value]]:
    """What is exposed of these processes: a value for each series."""
    found: dict[str, dict[Labels, Value]] = {}
    # The latest comes last.
    by_age = sorted(snapshots, key=lambda snapshot: snapshot.at_s)
    newest_s = by_age[-1].at_s if by_age else 0.0
    for snapshot in by_age:
        for name, values in snapshot.values.items():
            family = FAMILIES.get(name)
            if family is None:
                continue
            is_true = snapshot.lives or snapshot.at_s >= newest_s - _FACT_S
            if _grows(family) or (is_true if family.merge is Merge.LATEST else snapshot.lives):
                _add(found.setdefault(name, {}), family, values)
    return found


def _add(found: dict[Labels, Value], family: Family, values: Mapping[Labels, Value]) -> None:
    if family.merge is Merge.LATEST:
        found.clear()
    for labels, value in values.items():
        if labels not in found:
            found[labels] = value
        else:
            found[labels] = _sum(found[labels], value, family)


def _sum(one: Value, two: Value, family: Family) -> Value:
    if isinstance(one, HistogramValue):
        return one.plus(two) if isinstance(two, HistogramValue) else one
    if isinstance(two, HistogramValue):
        return two
    return min(one, two) if family.merge is Merge.WORST else one + two


def _grows(family: Family) -> bool:
    return family.kind is not Kind.GAUGE
