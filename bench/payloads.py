"""From which size should a payload be kept once for all its outboxes? `python bench/payloads.py` runs it.

There is one store, and a process for each mode. The processes alternate: each appends one event to a number
of subscriptions, claims it for all of them and settles it. The figure is the lowest quartile of the store's
time in scripts, because a busy machine adds to the others.

    copied      each outbox has a copy (`SHARED_PAYLOADS=off`)
    kept once   each outbox refers to one copy, whatever its size
    before      another release, whose code is in the folder `--before`; the others are shown as ratios of it
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

CASES = "1x400 2x400 50x400 2x8000 50x8000 2x50000 10x50000 2x200000 10x200000 50x200000"
MODES = {"copied": "off", "kept once": "on"}
EVENTS_A_REPEAT = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="repeats of each mode, for each case")
    parser.add_argument("--cases", default=CASES, help="cases to measure: subscriptions x payload bytes")
    parser.add_argument("--before", type=Path, help="folder with the code of another release")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        _work(options.child)
        return
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.local.stack.valkey import Valkey

    modes = [*(["before"] if options.before else []), *MODES]
    with ExitStack() as stack:
        valkey = Valkey(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))), SystemClock()
        )
        valkey.start()
        stack.callback(valkey.stop)
        valkey.wait_ready()
        children = {mode: _child(stack, mode, valkey.url, options.before) for mode in modes}
        print(
            f"{'case':<12}"
            + "".join(f"{mode:>18}" for mode in modes)
            + "   us in the store (ratio to the first)"
        )
        for case in options.cases.split():
            durations_us = {mode: list[int]() for mode in modes}
            for repeat in range(options.repeats):
                # Back and forth: a drift of the machine counts for all.
                for mode in modes if repeat % 2 else reversed(modes):
                    durations_us[mode] += _ask(children[mode], case)
            quartiles = [sorted(durations_us[mode])[len(durations_us[mode]) // 4] for mode in modes]
            cells = (f"{quartile} ({quartile / quartiles[0]:.2f})" for quartile in quartiles)
            print(f"{case:<12}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def _child(stack: ExitStack, mode: str, url: str, before: Path | None) -> "subprocess.Popen[str]":
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "0",
    }
    if mode == "before":
        environ["PYTHONPATH"] = str(before)
    else:
        environ["WEBRTC_EVENTS_SHARED_PAYLOADS"] = MODES[mode]
    command = [sys.executable, "-P", __file__, "--child", mode]
    process = subprocess.Popen(
        command, env=os.environ | environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def _ask(child: "subprocess.Popen[str]", case: str) -> list[int]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(case + "\n")
    child.stdin.flush()
    durations_us: list[int] = json.loads(child.stdout.readline())
    return durations_us


def _work(mode: str) -> None:
    """Reads cases from stdin; writes for each the times of its events in scripts, in us."""
    import redis

    from webrtc_events.core.settings import Settings
    from webrtc_events.store.script_options import StoreOptions
    from webrtc_events.store.store import Store

    settings = Settings.from_environ(os.environ)
    options = StoreOptions(shared_from=1) if mode == "kept once" else StoreOptions()
    store = Store.connect(settings, options)
    raw = redis.Redis.from_url(os.environ["WEBRTC_EVENTS_REDIS_URL"], decode_responses=True)
    known: dict[str, Iterator[int]] = {}
    for line in sys.stdin:
        case = line.strip()
        if case not in known:
            known[case] = _rounds(store, raw, f"{mode}-{case}", *map(int, case.split("x")))
        print(json.dumps([next(known[case]) for _ in range(EVENTS_A_REPEAT)]), flush=True)


def _rounds(store, raw, name: str, matches: int, size: int) -> Iterator[int]:  # type: ignore[no-untyped-def]
    """Makes the subscriptions, then yields the time in scripts of one event after the other, in us."""
    from webrtc_events.core.model import EventType, NetworkEvent, Subscription
    from webrtc_events.core.outcomes import SinkResult
    from webrtc_events.store.keys import new_subscription_id, partition_of
    from webrtc_events.store.settlements import Settlement

    partition = partition_of(name, 64)
    kind = EventType.SESSION_INVITATION
    for _ in range(matches):
        made = Subscription(
            id=new_subscription_id(partition),
            client="bench",
            subject=None,
            type=kind,
            registration=name,
            session=None,
            request={},
            starts_at_ms=0,
            expires_at_ms=None,
            max_events=None,
        )
        store.subscriptions.create(made, sink="https://sink.example/", headers={}, sealed=None)
    payload = json.dumps({"data": {"mediaSessionId": "m1", "padding": ""}})
    payload = payload.replace('""', f'"{"x" * (size - len(payload))}"')
    number = 0
    while True:
        number += 1
        event = NetworkEvent(f"{name}-{number}", "/b", kind, name, "m1", 0, True, False, payload)
        before = _in_scripts(raw)
        (result,) = store.events.append({partition.number: [event]})[partition.number]
        assert result.subscriptions == matches
        unsettled = matches
        while unsettled:
            claims: Sequence = store.claims.claim([partition], subscriptions=50, events=8)
            assert claims
            store.claims.settle(
                [Settlement(claim, claim.items[-1].number, sink=SinkResult.DELIVERED) for claim in claims]
            )
            unsettled -= len(claims)
        yield _in_scripts(raw) - before


def _in_scripts(raw) -> int:  # type: ignore[no-untyped-def]
    """The time that the store spent in scripts so far, in us."""
    return int(raw.info("commandstats").get("cmdstat_evalsha", {}).get("usec", 0))


if __name__ == "__main__":
    main()
