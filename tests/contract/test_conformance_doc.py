"""docs/conformance.md names tests that exist, and leaves no rule out."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.contract.named_tests import NAMED, TESTS, missing, names_in

DOCUMENT = TESTS.parent / "docs" / "conformance.md"
RULES = 35
# Source: code/Test_definitions/webrtc-events-subscriptions-*.feature of camaraproject/WebRTC.
SCENARIOS_OF_0_3 = {
    "createNotificationChannelSubscription": 6,
    "retrieveNotificationChannelSubscriptionList": 4,
    "retrieveNotificationChannelSubscription": 7,
    "updateNotificationChannelSubscription": 8,
    "deleteNotificationChannelSubscription": 7,
}

_NUMBER = re.compile(r"R(\d+)(?:\.\d+)?")
_VERDICTS = {"yes", "partly", "no", "n/a"}


def rules(text: str) -> Iterator[tuple[str, list[str]]]:
    """The rows with a rule: its number, then source, statement, met, how, shown by.

    Raises:
        ValueError: a row has another number of cells.
    """
    _, _, tables = text.partition("\n## Subscriptions\n")
    for line in tables.splitlines():
        if line.startswith("| R"):
            _, number, *cells, _ = re.split(r"\s*\|\s*", line)
            if len(cells) != 5:
                raise ValueError(f"{number} has {len(cells)} cells")
            yield number, cells


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def test_every_named_test_exists(document: str) -> None:
    assert len(NAMED.findall(document)) > 100
    assert list(missing(document)) == []


@pytest.mark.parametrize(
    "named",
    [
        "`contract/test_conformance_doc.py::test_that_is_not_there`",
        "`contract/test_nothing.py::test_every_named_test_exists`",
        "`conformance/bdd/creating.feature::A scenario that is not there`",
    ],
)
def test_a_test_that_does_not_exist_is_found(named: str) -> None:
    assert list(
        missing(f"| R1 | `contract/test_conformance_doc.py::test_every_named_test_exists`, {named} |")
    ) == [named.strip("`")]


def test_parameters_of_a_test_may_be_named() -> None:
    named = "`contract/test_conformance_doc.py::test_every_named_test_exists[some]`"
    assert list(missing(named)) == []


def test_every_scenario_is_named(document: str) -> None:
    named = set(NAMED.findall(document))
    features = sorted(TESTS.glob("conformance/bdd/**/*.feature"))
    assert len(features) > 10
    for feature in features:
        path = str(feature.relative_to(TESTS))
        assert [name for name in sorted(names_in(path)) if (path, name) not in named] == []


def test_every_scenario_of_0_3_has_a_row(document: str) -> None:
    """CAMARA's, with a test each, or a reason."""
    _, _, tables = document.partition("\n## WebRTC Events Subscriptions 0.3\n")
    rows = re.findall(r"^\| `(\w+?)_(\d[\w.]*)` \| [^|]+ \| ([^|]+) \| ([^|]*) \|$", tables, re.MULTILINE)
    assert Counter(operation for operation, *_ in rows) == SCENARIOS_OF_0_3
    assert len({(operation, scenario) for operation, scenario, *_ in rows}) == len(rows)
    for operation, scenario, met, shown_by in rows:
        assert met.startswith("n/a: ") or (met.startswith("yes") and shown_by), (operation, scenario)


def test_every_rule_has_a_row(document: str) -> None:
    numbers = [number for number, _ in rules(document)]
    assert len(set(numbers)) == len(numbers)
    documented = {int(match[1]) for number in numbers if (match := _NUMBER.fullmatch(number))}
    assert documented == set(range(1, RULES + 1))


def test_every_rule_that_is_met_is_shown(document: str) -> None:
    for number, (_, _, met, _, shown_by) in rules(document):
        assert met in _VERDICTS, number
        assert shown_by or met != "yes", number


def test_what_is_not_met_is_summed_up(document: str) -> None:
    """Also what is met in part."""
    summary = document.partition("## What is not met")[2].partition("\n## ")[0]
    summed_up = set(re.findall(r"^\| (R\d+\.\d+) ", summary, re.MULTILINE))
    assert summed_up == {number for number, cells in rules(document) if cells[2] in ("no", "partly")}
