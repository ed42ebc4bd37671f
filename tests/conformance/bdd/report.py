"""A pytest plugin: the conformance report that an operator hands in, one HTML file.

    python -m pytest tests/conformance -p tests.conformance.bdd.report --report FILE

A section for each feature, with its scenarios and their steps; other tests by their module.
"""

import hashlib
import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import Environment
from pytest_bdd.reporting import test_report_context_registry as scenario_of

from webrtc_events.contract.documents import load_public, load_subscriptions

__all__ = ["pytest_addoption", "pytest_configure", "pytest_unconfigure"]

_ROOT = Path(__file__).parents[3]
_CONTRACT = _ROOT / "spec" / "webrtc-events.yaml"
_NEXT_CONTRACT = _ROOT / "spec" / "webrtc-events-subscriptions.yaml"
_PLUGIN = "conformance-report"


@dataclass(frozen=True, slots=True)
class Step:
    keyword: str
    name: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario or test. `outcome` is passed, failed or skipped; `why` tells of the latter two.

    `notes` are what the test recorded by `record_property`, by name.
    """

    name: str
    outcome: str
    seconds: float
    steps: Sequence[Step]
    why: str
    notes: Mapping[str, object]


@dataclass(slots=True)
class Section:
    """`title` is the feature's, or the first line of the module."""

    title: str
    description: str
    where: str
    entries: list[Entry] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        return sum(entry.outcome == outcome for entry in self.entries)


class Reporter:
    """Collects what the tests recorded, and writes the file when they are done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sections: dict[str, Section] = {}
        self._modules: dict[str, str] = {}
        self._started = time.monotonic()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if isinstance(item, pytest.Function):
                self._modules[item.nodeid] = item.module.__doc__ or item.module.__name__

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A fixture that fails has no call; one that fails afterwards fails the test as well.
        if report.when == "call" or report.outcome != "passed":
            self._section(report).entries.append(_entry(report))

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self._html(), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"The conformance report is {self._path}")

    def _section(self, report: pytest.TestReport) -> Section:
        if report in scenario_of:
            feature = scenario_of[report].scenario["feature"]
            where = str(Path(feature["filename"]).relative_to(_ROOT))
            made = Section(feature["name"], feature["description"], where)
        else:
            where = report.nodeid.partition("::")[0]
            title, _, description = self._modules.get(report.nodeid, where).partition("\n")
            made = Section(title.rstrip("."), description.strip(), where)
        return self._sections.setdefault(where, made)

    def _html(self) -> str:
        sections = sorted(
            self._sections.values(),
            key=lambda section: (not section.where.endswith(".feature"), section.title),
        )
        totals = {
            outcome: sum(section.count(outcome) for section in sections)
            for outcome in ("passed", "failed", "skipped")
        }
        template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
            Path(__file__).with_suffix(".html.jinja").read_text(encoding="utf-8")
        )
        return template.render(
            facts=dict(_facts(time.monotonic() - self._started)), sections=sections, totals=totals
        )


def _entry(report: pytest.TestReport) -> Entry:
    test = report.nodeid.partition("::")[2]
    _, bracket, parameters = test.partition("[")
    notes = dict(report.user_properties)
    if report not in scenario_of:
        return Entry(test, report.outcome, report.duration, (), _why(report), notes)
    scenario = scenario_of[report].scenario
    steps = [Step(step["keyword"], step["name"], step["failed"]) for step in scenario["steps"]]
    name = f"{scenario['name']} ({parameters[:-1]})" if bracket else scenario["name"]
    return Entry(name, report.outcome, report.duration, steps, _why(report), notes)


def _why(report: pytest.TestReport) -> str:
    if report.outcome == "passed":
        return ""
    return f"{report.when}: {report.longreprtext}"


def _facts(seconds: float) -> Iterator[tuple[str, str]]:
    yield "Service", f"webrtc-events {importlib.metadata.version('webrtc-events')}"
    yield "Commit", _commit()
    for contract, path in ((load_public(), _CONTRACT), (load_subscriptions(), _NEXT_CONTRACT)):
        info = contract.document["info"]
        name = f"{info['title']} {info['version']}"
        yield name, f"Commonalities {info['x-camara-commonalities']}"
        yield f"{name}, SHA-256", hashlib.sha256(path.read_bytes()).hexdigest()
    yield "Date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield "Duration", f"{seconds:.0f} s"
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"


def _commit() -> str:
    """With a word on what is not committed; `unknown` outside a clone."""
    try:
        commit, changes = (_git("rev-parse", "HEAD"), _git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} and changes that are not committed" if changes else commit


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, check=True, text=True, timeout=20
    ).stdout.strip()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("conformance").addoption("--report", type=Path, help="writes an HTML report to this file")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--report")
    if path is not None:
        config.pluginmanager.register(Reporter(path.absolute()), _PLUGIN)


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin(_PLUGIN):
        config.pluginmanager.unregister(name=_PLUGIN)
