"""The work of a drain, the same for every contender: which events are posted where. Standard library only."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["TYPE", "Job"]

TYPE = "org.camaraproject.webrtc-events.v0.session-status"
# Of a notification, beside its session description. A line break of that takes four bytes in JSON.
_REST_BYTES = 490
_CANDIDATE = (
    "a=candidate:{0} 1 udp 2122194687 192.0.2.{0} {1} typ host generation 0 network-id 1 network-cost 10"
)


@dataclass(frozen=True)
class Job:
    """`events` to each of `targets`; `socket` is the store's, `ca_file` the sink's CA.

    `posts` is a file for the peers: a line `[url, body]` for each event, in the order of the queue.
    """

    socket: str
    ca_file: str
    posts: str
    urls: tuple[str, ...]
    targets: int
    events: int
    body_bytes: int = 2500

    @classmethod
    def read(cls, path: str) -> "Job":
        found = json.loads(Path(path).read_text())
        # Another release's benchmarks may have written more.
        known = {field.name: found[field.name] for field in fields(cls) if field.name in found}
        return cls(**known | {"urls": tuple(found["urls"])})

    def write(self, path: Path) -> None:
        """The job itself, and its posts."""
        path.write_text(json.dumps(asdict(self)))
        with Path(self.posts).open("w") as posts:
            for url, body in self.all_posts():
                posts.write(json.dumps([url, body]) + "\n")

    def all_posts(self) -> Iterator[tuple[str, str]]:
        for number in range(1, self.events + 1):
            for target in range(self.targets):
                yield self.url(target), self.notification(target, number)

    def url(self, target: int) -> str:
        return f"{self.urls[target % len(self.urls)]}/inbox/{target}"

    def data(self, target: int, number: int) -> dict[str, Any]:
        """What the network says of a session; its SDP makes the notification `body_bytes` long."""
        return {
            "mediaSessionId": f"session-{target}",
            "originatorAddress": "tel:+12025550100",
            "receiverAddress": "tel:+12025550101",
            "status": "InProgress",
            "answer": {"sdp": _sdp(self.body_bytes - _REST_BYTES)},
            "sequenceNumber": number,
        }

    def notification(self, target: int, number: int) -> str:
        """The body that a peer posts: as large as the service's, and like it."""
        event = {
            "id": f"target-{target}.{number}",
            "source": "/webrtc-events",
            "specversion": "1.0",
            "type": TYPE,
            "time": "2026-03-10T09:00:00.000Z",
            "datacontenttype": "application/json",
            "mediaSessionId": f"session-{target}",
            "status": "InProgress",
            "data": {"subscriptionId": f"subscription-{target:024}", **self.data(target, number)},
        }
        return json.dumps(event, separators=(",", ":"))


@cache
def _sdp(size: int) -> str:
    """A session description that takes about that many bytes in JSON."""
    lines = ["v=0", "o=- 7653101427345466561 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"]
    while (left := size - sum(len(line) + 4 for line in lines)) > 0:
        lines.append(_CANDIDATE.format(len(lines), 50_000 + len(lines))[:left])
    return "\r\n".join(lines) + "\r\n"
