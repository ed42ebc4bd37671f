"""docs/operations/logs.md, "What to watch in the log": each line is one that the service writes."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

import webrtc_events
from tests.harness.documents import Document
from webrtc_events.core.outcomes import Outcome

LINES = [row[0].strip("`") for row in Document("operations/logs.md").table("What to watch in the log")]
_FIELD = re.compile(r"%[sdr]|%\.\d+f")


def texts() -> Iterator[str]:
    """Every text in the package's code, with … where something is put in."""
    for path in Path(next(iter(webrtc_events.__path__))).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
                yield _FIELD.sub("…", node.value)


@cache
def all_texts() -> list[str]:
    """Once, and not while tests are collected, which each test process does."""
    return list(texts())


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("attempt ")])
def test_a_line_to_watch_is_one_that_is_written(line: str) -> None:
    pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
    assert [text for text in all_texts() if pattern.search(text)], line


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("attempt ")])
def test_a_line_of_an_attempt_has_an_outcome_that_there_is(line: str) -> None:
    """That such lines have these fields, see test_start.py."""
    outcome = re.search(r"outcome=(\w+)", line)
    assert outcome is not None
    assert outcome[1] in {kind.__name__.lower() for kind in get_args(Outcome)}
    assert set(re.findall(r"(\w+)=", line)) <= {"outcome", "reason", "host"}
