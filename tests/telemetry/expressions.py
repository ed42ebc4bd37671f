"""Expressions of PromQL, held to what a service exposes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser

from tests.harness.scrapes import Scrape
from webrtc_events.telemetry.families import FAMILIES, PREFIX

__all__ = ["faults", "metrics_of"]

# What Prometheus adds to each series.
_TARGET = {"job", "instance"}


@dataclass(frozen=True)
class _Selector:
    """`labels` that are asked for, with the operator and the value of each."""

    name: str
    labels: tuple[tuple[str, str, str], ...]


def metrics_of(expression: str) -> set[str]:
    """Of the service, without prefix."""
    return {
        selector.name.removeprefix(PREFIX)
        for selector in _selectors(_parsed(expression))
        if selector.name.startswith(PREFIX)
    }


def faults(expression: str, scrape: Scrape) -> Iterator[str]:
    """What an expression asks for that is not there."""
    tree = _parsed(expression)
    for selector in _selectors(tree):
        if selector.name == "up":
            exposed = [{}]
        else:
            name = selector.name.removeprefix(PREFIX)
            exposed = [dict(labels) for found, labels in scrape.values if found == name]
        if not exposed:
            yield f"{selector.name} is not exposed"
            continue
        for label, operator, value in selector.labels:
            if label in _TARGET:
                continue
            if not any(label in labels for labels in exposed):
                yield f"{selector.name} has no label {label}"
            elif not any(_matches(operator, value, word) for word in _words(name, label, exposed)):
                yield f"{selector.name} has no {label}{operator}{value}"
    yield from _grouping_faults(tree, scrape)


def _words(name: str, label: str, exposed: list[dict[str, str]]) -> set[str]:
    """What the label may be: an answer with a status that did not come yet may come."""
    if label == "status":
        return {str(status) for status in range(100, 600)}
    family = FAMILIES.get(name)
    return {labels[label] for labels in exposed if label in labels} | {*(family.values if family else ())}


def _matches(operator: str, value: str, word: str) -> bool:
    found = bool(re.fullmatch(value, word)) if "~" in operator else value == word
    return found != operator.startswith("!")


def _grouping_faults(tree: Any, scrape: Scrape) -> Iterator[str]:
    for node in _nodes(tree):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
            names = [selector.name.removeprefix(PREFIX) for selector in _selectors(node.expr)]
            known = {label for found, labels in scrape.values if found in names for label, _ in labels}
            for label in modifier.labels:
                if label not in known | _TARGET:
                    yield f"{', '.join(names)} cannot be grouped by {label}"


def _parsed(expression: str) -> Any:
    # As Grafana fills it in.
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def _selectors(tree: Any) -> Iterator[_Selector]:
    for node in _nodes(tree):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = node.matchers.matchers
            labels = tuple((found.name, _operator(found.op), found.value) for found in matchers)
            yield _Selector(str(node.name), labels)


def _operator(op: Any) -> str:
    # They have no hash.
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return next(sign for name, sign in signs.items() if op == getattr(promql_parser.MatchOp, name))


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    children = [getattr(tree, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    children += list(getattr(tree, "args", None) or ())
    for child in children:
        if child is not None:
            yield from _nodes(child)
