"""Schemathesis against `webrtc-events serve`: every phase, every check, every operation.

No check is left out for any operation. On the gateway side three of them have nothing to look
at, since registrations are made with PUT and cannot be read: use_after_free,
ensure_resource_availability and object_level_authorization.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import requests

from tests.conformance.campaign import PHASES, Campaign, Report
from tests.conformance.conftest import REQUESTS, Server
from webrtc_events.contract.documents import load_channels, load_network, load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import SystemClock

_LOADERS = {
    "public API": load_public,
    "next public API": load_subscriptions,
    "channels": load_channels,
    "gateway side": load_network,
}
_BOUND_S = 240.0
# They need the token of the channel, which is no access token. That they succeed: tests/channels.
_OF_READERS = {"readChannelEvents", "putChannelCursor"}


# Only `coverage` and `fuzzing` have to do with a further parameter. The public API comes first: what
# the gateway side says of registrations and sessions makes them somebody's, whom others are refused.
_RUNS = [
    ("public API", False),
    ("public API", True),
    ("next public API", False),
    ("next public API", True),
    ("channels", False),
    ("channels", True),
    ("gateway side", False),
    ("gateway side", True),
]


@pytest.mark.parametrize(("name", "correlator"), _RUNS)
def test_nothing_is_found(
    name: str,
    correlator: bool,
    serve: Server,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    examples: int = pytestconfig.getoption("--examples")
    phases = ("coverage", "fuzzing") if correlator else PHASES
    contract = _LOADERS[name]()
    report = Campaign(
        contract=contract,
        api=serve.api,
        sink=serve.sink,
        tokens=serve.tokens,
        directory=tmp_path,
        clock=SystemClock(),
        seed=pytestconfig.getoption("--seed"),
        max_examples=max(1, examples // 4) if correlator else examples,
        bound_s=_BOUND_S,
        correlator=correlator,
        phases=phases,
    ).run()
    record_property(REQUESTS, report.summary())
    assert not report.problems(), report.problems()
    _assert_thorough(report, contract, phases)
    if name != "channels":
        _assert_valid_notifications(serve)


def _assert_thorough(report: Report, contract: Contract, phases: Sequence[str]) -> None:
    """A run that is refused everywhere finds nothing."""
    for operation in contract.operations.values():
        if operation.id in _OF_READERS:
            continue
        label = f"{operation.method} {operation.path}"
        assert any(of == label and status < 300 for of, status in report.answers), f"{label} never succeeds"
    assert {phase for _, phase in report.cases} == set(phases)
    assert not {403, 429} & {status for _, status in report.answers}


def _assert_valid_notifications(serve: Server) -> None:
    """What the generated requests sent to the sink; each deleted subscription has its end notification."""
    with requests.Session() as session:
        session.trust_env = False
        received = session.get(f"{serve.sink}/_inbox?wait=5", verify=str(serve.ca), timeout=10).json()
    assert received
    assert [notification for notification in received if notification["fault"] is not None] == []
