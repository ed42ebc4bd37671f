"""Runs Schemathesis against a server and tells what it found."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schemathesis import engine
from schemathesis.engine import StopReason, events

from tests.conformance.document import conformance_document
from tests.conformance.rules import Rules
from tests.harness import device_subscriptions as v0_3
from webrtc_events.contract.documents import load_channels, load_public
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import Clock

__all__ = ["CHECKS", "PHASES", "Campaign", "Finding", "Report"]

PHASES = ("examples", "coverage", "fuzzing", "stateful")

CHECKS = (
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "ignored_auth",
    "max_response_time",
    "missing_required_header",
    "negative_data_rejection",
    "not_a_server_error",
    "object_level_authorization",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
)
"""All that Schemathesis 4 has; each is kept, for every operation."""

_OWNER, _OTHER = "owner", "other"
_OWNERS_DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
_SUBSCRIPTION = {
    "protocol": "HTTP",
    "types": ["org.camaraproject.webrtc-events.v0.session-invitation"],
    "config": {"subscriptionDetail": {"registrationId": "registration-of-the-owner"}},
}
_REQUEST_TIMEOUT_S = 10.0

_PARTS = {("examples", "coverage"): True, ("fuzzing", "stateful"): False}
"""Phases, and whether tokens are made up and left out in them as parameters are.

`ignored_auth` does so in every phase by itself. If all phases did, most of their requests would
come no further than 401.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed: where, why, and the request that shows it."""

    check: str
    operation: str
    phase: str
    message: str
    request: str
    answer: str

    def __str__(self) -> str:
        return "\n  ".join(
            [f"{self.check}, {self.operation}, {self.phase}", self.message, self.request, self.answer]
        )


@dataclass(slots=True)
class Report:
    """`cases` counts requests by (operation, phase) and `answers` what came back by (operation,
    status); `errors` kept Schemathesis from its work.
    """

    seed: int
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed_checks(self) -> set[str]:
        return {finding.check for finding in self.findings}

    def summary(self) -> str:
        """A line for each operation: requests by phase, answers by status."""
        lines = [f"seed {self.seed}: {self.cases.total()} requests in {self.seconds:.1f} s"]
        for operation in sorted({operation for operation, _ in self.cases}):
            cases = ", ".join(f"{phase} {self.cases[operation, phase]}" for phase in PHASES)
            answers = sorted(
                (status, count) for (of, status), count in self.answers.items() if of == operation
            )
            lines.append(
                f"{operation}: {cases}; {', '.join(f'{count} x {status}' for status, count in answers)}"
            )
        return "\n".join(lines)

    def problems(self) -> str:
        """Each kind of finding once, and the errors; empty when there are none."""
        kinds = {(finding.check, finding.operation, finding.message): finding for finding in self.findings}
        return "\n\n".join([*self.errors, *map(str, kinds.values())])


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One run. `api` is the server's base URL; `tokens` are those of two clients, the owner's first.

    `correlator`: whether requests may carry x-correlator, see document.py. `bound_s` ends a run
    that takes longer, which is an error.
    """

    contract: Contract
    api: str
    sink: str
    tokens: tuple[str, str]
    directory: Path
    clock: Clock
    seed: int
    max_examples: int
    bound_s: float
    correlator: bool = False
    phases: Sequence[str] = PHASES
    operations: Sequence[str] = ()
    slowest_answer_s: float = 5.0

    def run(self) -> Report:
        report = Report(self.seed)
        started = self.clock.monotonic()
        with _before_each_call(Rules(self.contract, self.sink, self.subscribe, self.make_channel)):
            for part, tokens in _PARTS.items():
                phases = set(part) & set(self.phases)
                if phases:
                    self._run(self._config(phases, tokens=tokens), report, started + self.bound_s)
        report.seconds = self.clock.monotonic() - started
        return report

    def _run(self, config: dict[str, Any], report: Report, deadline: float) -> None:
        schema: schemathesis.BaseSchema = schemathesis.openapi.from_dict(
            conformance_document(self.contract.document, correlator=self.correlator),
            config=schemathesis.Config.from_dict(config),
        )
        if self.operations:
            schema = schema.include(name=list(self.operations))
        stream = engine.from_schema(schema).execute()
        for event in stream:
            _take(event, report)
            if self.clock.monotonic() > deadline and not stream.stop_event.is_set():
                report.errors.append(f"it took more than {self.bound_s} s")
                stream.stop()

    def subscribe(self) -> str:
        """Makes a subscription of the owner's, under this contract if it has any, and returns its id."""
        base_path, request = load_public().base_path, _SUBSCRIPTION
        if self.contract.base_path == v0_3.BASE_PATH:
            base_path, request = v0_3.BASE_PATH, v0_3.request_for(_OWNERS_DEVICE, "")
        response = requests.post(
            f"{self.api}{base_path}/subscriptions",
            json=request | {"sink": f"{self.sink}/x"},
            headers={"Authorization": f"Bearer {self.tokens[0]}"},
            timeout=_REQUEST_TIMEOUT_S,
        )
        response.raise_for_status()
        return str(response.json()["id"])

    def make_channel(self) -> str:
        """Makes a channel of the owner's and returns its id."""
        response = requests.post(
            f"{self.api}{load_channels().base_path}/channels",
            headers={"Authorization": f"Bearer {self.tokens[0]}"},
            timeout=_REQUEST_TIMEOUT_S,
        )
        response.raise_for_status()
        return str(response.json()["id"])

    def _config(self, phases: Set[str], *, tokens: bool) -> dict[str, Any]:
        """Source: Schemathesis, configuration reference."""
        return {
            "base-url": f"{self.api}{self.contract.base_path}",
            "seed": self.seed,
            "auth": {
                "wfc": {"path": str(self._write_clients()), "user": _OWNER, "peers": [_OWNER, _OTHER]},
            },
            "request-timeout": _REQUEST_TIMEOUT_S,
            # One fault must not hide the next.
            "continue-on-failure": True,
            "generation": {
                "max-examples": self.max_examples,
                "no-shrink": True,
                # What an earlier run found is no part of what the seed makes.
                "database": "none",
                "with-security-parameters": tokens,
            },
            "phases": {name: {"enabled": name in phases} for name in PHASES},
            "checks": {"max_response_time": self.slowest_answer_s},
            # Tokens here are those of a test; a request in a report should be the one that was sent.
            "output": {"sanitization": {"enabled": False}},
        }

    def _write_clients(self) -> Path:
        path = self.directory / "clients.json"
        clients = [
            {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
            for name, token in zip((_OWNER, _OTHER), self.tokens, strict=True)
        ]
        path.write_text(json.dumps({"auth": clients}))
        return path


@contextmanager
def _before_each_call(rules: Rules) -> Iterator[None]:
    def before_call(
        _: schemathesis.HookContext, case: "schemathesis.Case[Any]", __: Mapping[str, Any]
    ) -> None:
        rules.mend(case)

    schemathesis.hook("before_call")(before_call)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(before_call)


def _take(event: events.EngineEvent, report: Report) -> None:
    if isinstance(event, events.ScenarioFinished):
        _take_scenario(event, report)
    elif isinstance(event, events.NonFatalError):
        report.errors.append(f"{event.label}: {event.info.format()}")
    elif isinstance(event, events.FatalError):
        report.errors.append(repr(event.exception))
    elif isinstance(event, events.EngineFinished) and event.stop_reason is not StopReason.COMPLETED:
        report.errors.append(f"it stopped: {event.stop_reason}")


def _take_scenario(event: events.ScenarioFinished, report: Report) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        operation = recorder.cases[case_id].value.operation.label
        report.cases[operation, event.phase.value] += 1
        if interaction.response is not None:
            report.answers[operation, interaction.response.status_code] += 1
    for case_id, nodes in recorder.checks.items():
        sent = recorder.interactions.get(case_id)
        response = sent.response if sent else None
        for check in nodes:
            if check.failure_info is not None:
                report.findings.append(
                    Finding(
                        check=check.name,
                        operation=recorder.cases[case_id].value.operation.label,
                        phase=event.phase.value,
                        message=f"{check.failure_info.failure.title}: {check.failure_info.failure.message}",
                        request=check.failure_info.code_sample,
                        answer=f"{response.status_code} {response.text}" if response else "no answer",
                    )
                )
