"""The recorded calls `janus-*`: the receiver's side of calls that a real Janus has posted.

python -m tests.gateways.janus.recorded
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.harness.clocks import SteppedClock
from tests.harness.documents import ROOT
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.janus.calls import Calls
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.janus.registrations import Registrations
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.network_requests import PublishEvent
from webrtc_events.gateways.ownership import Ownership, OwnershipRule

__all__ = ["RECORDED", "file_of", "written"]

POSTS: Final = ROOT / "tests" / "gateways" / "data" / "janus-1.1.2.ndjson"
RECORDED: Final = {"hold-resume": 0, "declined": 1, "cancelled": 2, "not-answered": 4}
"""Which of the calls of `POSTS` each is."""


def file_of(name: str) -> Path:
    return ROOT / "tests" / "data" / "calls" / f"janus-{name}.ndjson"


def written(name: str) -> str:
    """The text of the file: what the adapter makes of the posts, where only Bob is somebody's."""
    posts = [json.loads(line) for line in POSTS.read_text(encoding="utf-8").splitlines()]
    placed = [post["event"]["data"] for post in posts if post["type"] == 64]
    sessions = [data["call-id"] for data in placed if data["event"] == "calling"]
    rule = OwnershipRule(identity="sip:bob@*", owner="softphone", id=f"{{user}}.janus-{name}")
    events = [
        event
        for event in _events(posts, rule)
        if event["data"].get("mediaSessionId") == sessions[RECORDED[name]]
    ]
    lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events]
    return "\n".join([*lines, ""])


def _events(posts: list[Any], rule: OwnershipRule) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        journal = Journal(Path(folder) / "queue", clock)
        registrations = Registrations(Ownership((rule,)), 60, LineLimit(clock))
        intake = Intake(journal, registrations, Calls("sip.example.com"), clock, None)
        intake.take(json.dumps(posts).encode())
        requests = [entry.request for entry in journal.head(1000)]
        journal.close()
    return [dict(request.event) for request in requests if isinstance(request, PublishEvent)]


if __name__ == "__main__":
    for name in RECORDED:
        file_of(name).write_text(written(name), encoding="utf-8")
