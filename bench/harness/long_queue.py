"""Fills the queue of an adapter and empties it: `long_queue.py COUNT FOLDER`, with any release's code."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.network_requests import PublishEvent, PutRegistration

_AT_ONCE = 100
_SDP = "v=0\r\n" + "a=candidate:1 1 UDP 2130706431 192.0.2.1 9 typ host\r\n" * 40


def _measure(count: int, folder: Path) -> dict[str, float]:
    path = folder / f"{os.getpid()}.queue"
    journal = Journal(path, SystemClock())
    data: dict[str, Any] = {"status": "Initial", "offer": {"sdp": _SDP}}
    begun_s = time.monotonic()
    for number in range(0, count, _AT_ONCE):
        with journal.transaction() as transaction:
            transaction.append(
                [
                    PutRegistration(f"user-{index}", {"owner": "softphone", "deviceId": "x" * 36})
                    if index % 10 == 0
                    else PublishEvent({"id": str(index), "data": data | {"mediaSessionId": f"s{index}"}})
                    for index in range(number, number + _AT_ONCE)
                ]
            )
    append_s, full = time.monotonic() - begun_s, _size(path)
    begun_s = time.monotonic()
    journal.head(_AT_ONCE)
    read_s = time.monotonic() - begun_s
    begun_s = time.monotonic()
    while entries := journal.head(_AT_ONCE):
        journal.settle(entries, [])
    send_s, sent = time.monotonic() - begun_s, _size(path)
    journal.forget_inputs()
    journal.close()
    return {
        "requests": count,
        "append_s": append_s,
        "read_ms": read_s * 1000,
        "send_s": send_s,
        "full_mb": full,
        "sent_mb": sent,
        "tidied_mb": _size(path),
    }


def _size(path: Path) -> float:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")) / 1e6


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]), Path(sys.argv[2]))))
