"""`make chaos`: options, the fixture that each scenario runs in, and what is shown of it."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import tails
from tests.chaos.run import Options, Run
from tests.harness.issuer import Issuer, SigningKeyPair

_RUN = pytest.StashKey[Run]()
_FIGURES = "figures"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--seed", type=int, help="repeats the random choices of an earlier run")
    group.addoption("--events", type=int, default=5_000, help="events to be delivered, of a whole scenario")


def pytest_configure(config: pytest.Config) -> None:
    if sys.platform != "linux":
        raise pytest.UsageError("needs Linux: /proc, and children that end with their parent")
    # Before xdist hands the options to its workers.
    if config.option.seed is None:
        config.option.seed = random.randrange(1_000_000)


def pytest_report_header(config: pytest.Config) -> str:
    return f"chaos: --seed {config.option.seed} --events {config.option.events}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section(f"chaos, --seed {config.option.seed} --events {config.option.events}")
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            figures = dict(report.user_properties).get(_FIGURES)
            if figures and report.when == "call":
                terminalreporter.write_line(f"{outcome}  {report.nodeid.rpartition('::')[2]}: {figures}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    run = item.stash.get(_RUN, None)
    if call.when == "call" and run is not None:
        if run.verdict is not None:
            item.user_properties.append((_FIGURES, run.figures()))
        if call.excinfo is not None:
            item.add_report_section("call", "chaos", _report(item, run))
            for name, tail in tails(run.directory):
                item.add_report_section("call", f"end of {name}", tail)
    return (yield)


def _report(item: pytest.Item, run: Run) -> str:
    again = f'make chaos ARGS="--seed {run.options.seed} --events {run.options.events} -k {item.name}"'
    details = run.verdict.details() if run.verdict is not None else "not checked"
    return f"again: {again}\nlogs and the sinks' journal: {run.directory}\n{details}"


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    yield issuer
    issuer.close()


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer) -> Iterator[Run]:
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, file=sys.stderr, flush=True)

    option = request.config.option
    name = request.node.name.removeprefix("test_")
    with Run(name, Options(option.seed, option.events), tmp_path, issuer, say) as run:
        request.node.stash[_RUN] = run
        yield run
