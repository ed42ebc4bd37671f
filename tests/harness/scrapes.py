"""Reads `/metrics` as Prometheus does."""

import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from webrtc_events.telemetry.families import PREFIX

__all__ = ["Scrape", "metrics_url", "parsed", "scrape"]

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Scrape:
    """`values`: by name without prefix, and labels in order. `types`: of families."""

    values: dict[Series, float]
    types: dict[str, str]

    def __call__(self, name: str, **labels: str) -> float:
        """The series with just these labels; 0 if there is none."""
        return self.values.get((name, tuple(sorted(labels.items()))), 0.0)

    def total(self, name: str) -> float:
        """Of all its series."""
        return sum(value for (found, _), value in self.values.items() if found == name)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.values}


def parsed(text: str) -> Scrape:
    values: dict[Series, float] = {}
    types: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        types[family.name.removeprefix(PREFIX)] = family.type
        for sample in family.samples:
            series = sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))
            assert series not in values, f"twice: {series}"
            values[series] = sample.value
    return Scrape(values, types)


def scrape(url: str) -> Scrape:
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
        return parsed(answer.read().decode())


def metrics_url(output: Callable[[], str]) -> str | None:
    """Where a command says that its metrics are, once it does."""
    found = re.search(r"metrics are at (http://\S+)", output())
    return found[1] if found else None
