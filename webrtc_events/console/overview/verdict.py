"""What is wrong with the service, the worst first, and what to do about it. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from webrtc_events.console.overview.wording import percent, plural, size, span
from webrtc_events.core.process_report import HostState
from webrtc_events.services.figures import Figures, Process
from webrtc_events.store.durability.findings import Bearing
from webrtc_events.store.node_status import NodeStatus, StoreStatus

__all__ = ["Problem", "Severity", "problems_of"]

_LATE_S: Final = 10.0
_VERY_LATE_S: Final = 60.0
# Of what the store may have up to its watermark.
_NEARLY_FULL: Final = 0.9
_LATELY: Final = 10


class Severity(StrEnum):
    """BAD: events are lost or late, or will be. FAIR: somebody should look."""

    BAD = "bad"
    FAIR = "fair"


@dataclass(frozen=True, slots=True)
class Problem:
    """`action`: what to do, or where to look. `page`: the endpoint of a page that shows more."""

    severity: Severity
    text: str
    action: str = ""
    page: str = ""


def problems_of(figures: Figures, *, durable_required: bool = False) -> list[Problem]:
    """`durable_required`: nothing is accepted while the store is not shown to be durable."""
    if figures.store is None:
        text = "The store does not answer: nothing is accepted or delivered."
        action = "Look at its machine, its log, and the network between. What was accepted is kept there."
        return [Problem(Severity.BAD, text, action)]
    found = [*_nodes(figures.store), *_findings(figures.store, durable_required=durable_required)]
    found += _troubles(figures, figures.store)
    for rule in _RULES:
        found += rule(figures)
    return sorted(found, key=lambda problem: problem.severity is not Severity.BAD)


def _nodes(store: StoreStatus) -> Iterator[Problem]:
    for address in store.silent:
        text = f"A node of the store does not answer: {address}."
        action = "What its partitions hold waits for it, and requests that need it get 503."
        yield Problem(Severity.BAD, text, action)
    for node in store.nodes:
        yield from _memory(node)


def _memory(node: NodeStatus) -> Iterator[Problem]:
    if not node.watermark_bytes or node.used_bytes is None:
        return
    share = node.used_bytes / node.watermark_bytes
    used = f"{size(node.used_bytes)} of {size(node.watermark_bytes)} at {node.facts.address}"
    if share > 1:
        text = f"The store is above its watermark ({used}): nothing new is accepted."
        yield Problem(Severity.BAD, text, "See below what waits, and for whom; or raise its maxmemory.")
    elif share > _NEARLY_FULL:
        text = f"The store has {percent(share)} of what it may have ({used})."
        yield Problem(Severity.FAIR, text, "At its watermark nothing new is accepted. Raise its maxmemory.")


def _findings(store: StoreStatus, *, durable_required: bool) -> Iterator[Problem]:
    for finding in store.findings:
        if finding.bearing is not Bearing.UNKNOWN:
            is_bad = durable_required and finding.bearing is Bearing.NOT_DURABLE
            text = str(finding)
            yield Problem(Severity.BAD if is_bad else Severity.FAIR, text[:1].upper() + text[1:])


def _troubles(figures: Figures, store: StoreStatus) -> Iterator[Problem]:
    """What processes say of the store, and is not found from here: that it lost something, for example."""
    said = [trouble for process in figures.processes or () for trouble in process.report.troubles]
    for trouble in dict.fromkeys(said):
        for finding in store.findings:
            trouble = trouble.replace(finding.detail, "")
        if trouble.strip():
            yield Problem(Severity.BAD, trouble.strip(), "The logs of the processes say more.")


def _processes(figures: Figures) -> Iterator[Problem]:
    if figures.processes is None:
        text = "It is not known which processes run."
        yield Problem(Severity.FAIR, text, "The node of the store that has it does not answer.")
        return
    for process in figures.processes:
        if process.missing:
            yield _missing(process, others=bool(figures.running(process.report.role)))
        elif process.report.still:
            threads = ", ".join(process.report.still)
            text = f"{_name(process)} runs, but these of its threads stand still: {threads}."
            yield Problem(Severity.BAD, text, "Restart it; its log says why.")
    if figures.workers and not figures.running("worker"):
        text = (
            f"{plural(figures.workers, 'worker')} of an earlier release run, of which nothing is known here."
        )
        yield Problem(Severity.FAIR, text, "Upgrade them.")
    elif not figures.running("worker"):
        waiting = figures.waiting.subscriptions if figures.waiting else 0
        more = f"{plural(waiting, 'subscription waits', 'subscriptions wait')}. " if waiting else ""
        text = "No worker runs: nothing is delivered."
        yield Problem(Severity.BAD, text, f"{more}Start one: webrtc-events worker")
    if not figures.running("api"):
        text = "No API process runs: nothing is accepted."
        yield Problem(Severity.BAD, text, "Look at gunicorn's log. (A release before this one says nothing.)")


def _missing(process: Process, *, others: bool) -> Problem:
    text = f"{_name(process)} is missing: it said nothing for {span(process.age_ms / 1000)}."
    action = "It was killed, hangs, or cannot reach the store."
    if process.report.role == "worker":
        action += " What it had in hand goes out when its leases end"
        action += "." if others else ", once a worker runs."
    return Problem(Severity.FAIR, text, action)


def _late(figures: Figures) -> Iterator[Problem]:
    late_s = (figures.waiting.late_ms or 0) / 1000 if figures.waiting else 0.0
    if late_s > _LATE_S and figures.running("worker"):
        severity = Severity.BAD if late_s > _VERY_LATE_S else Severity.FAIR
        text = f"Workers do not keep up: what is due has waited for {span(late_s)} to be taken."
        action = "Look at their CPU below. Start more: webrtc-events worker --processes N"
        yield Problem(severity, text, action)


_SAID_OF_HOSTS: Final = {
    HostState.OPEN: ("does not answer", "do not answer"),
    HostState.THROTTLED: ("asks for less", "ask for less"),
    HostState.SLOW: ("takes longer than a second to answer", "take longer than a second to answer"),
}


def _hosts(figures: Figures) -> Iterator[Problem]:
    for state, (one, more) in _SAID_OF_HOSTS.items():
        found = [host for host in figures.hosts if host.state is state]
        waiting = plural(sum(host.waiting.events for host in found), "event waits", "events wait")
        if len(found) == 1:
            yield Problem(Severity.FAIR, f"{found[0].host} {one}; {waiting} for it.")
        elif found:
            text = f"{len(found):,} hosts of sinks {more}; {waiting} for them."
            yield Problem(Severity.FAIR, text, "They are listed below.")


def _given_up(figures: Figures) -> Iterator[Problem]:
    if given_up := figures.counted("given_up", _LATELY):
        what = plural(given_up, "notification was", "notifications were")
        text = f"{what} given up in the last {_LATELY} minutes."
        yield Problem(Severity.FAIR, text, "Each is a dead letter.", "subscriptions.latest")


def _rejected(figures: Figures) -> Iterator[Problem]:
    if rejected := figures.counted("rejected", _LATELY):
        text = f"{plural(rejected, 'event was', 'events were')} rejected in the last {_LATELY} minutes."
        action = "A gateway sends what the contract does not permit; the answers that it gets say what."
        yield Problem(Severity.FAIR, text, action)


def _damaged(figures: Figures) -> Iterator[Problem]:
    damaged = figures.damaged + (figures.waiting.damaged if figures.waiting else 0)
    if damaged:
        text = f"{plural(damaged, 'record')} of these figures cannot be read, and count for nothing."
        yield Problem(Severity.FAIR, text, "Does something else write to this store?")


_RULES: Final[tuple[Callable[[Figures], Iterator[Problem]], ...]] = (
    _processes,
    _late,
    _hosts,
    _given_up,
    _rejected,
    _damaged,
)


def _name(process: Process) -> str:
    role = "An API process" if process.report.role == "api" else "A worker"
    return f"{role} on {process.report.machine} ({process.report.pid})"
