"""docs/reliability.md names tests that exist, for each of the promises."""

from tests.contract.named_tests import NAMED, TESTS, missing

PROMISES = 8


def test_every_promise_names_tests_that_exist() -> None:
    text = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert list(missing(text)) == []
    _, *promises = text.partition("\n## What is bounded")[0].split("\n### ")
    assert [promise[0] for promise in promises] == [str(number) for number in range(1, PROMISES + 1)]
    assert all(NAMED.search(promise) for promise in promises)
