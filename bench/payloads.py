"""From which size on is a payload to be kept once for all its outboxes? `python bench/payloads.py` runs it.

One store, and for each way a process of its own that takes turns with the others: it appends one event to so
many subscriptions, claims it for all of them and settles it. What counts is the store's time in the scripts,
the lowest quartile, as a busy machine adds to the others.

    copied      each outbox has a copy (`SHARED_PAYLOADS=off`)
    kept once   each outbox refers to it, whatever its size
    before      another release, whose code is in the folder `--before`: the others are told as ratios of it
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
WAYS = {"copied": "off", "kept once": "on"}
EACH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=30, help="of each way, for each case")
    parser.add_argument("--cases", default=CASES, help="subscriptions x bytes of the payload")
    parser.add_argument("--before", type=Path, help="folder with the code of another release")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        _work(options.child)
        return
    from webrtc_events.core.clock import SystemClock
    from webrtc_events.local.stack.valkey import Valkey

    ways = [*(["before"] if options.before else []), *WAYS]
    with ExitStack() as stack:
        valkey = Valkey(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))), SystemClock()
        )
        valkey.start()
        stack.callback(valkey.stop)
        valkey.wait_ready()
        children = {way: _child(stack, way, valkey.url, options.before) for way in ways}
        print(f"{'case':<12}" + "".join(f"{way:>18}" for way in ways) + "   us in the store, times the first")
        for case in options.cases.split():
            took = {way: list[int]() for way in ways}
            for turn in range(options.turns):
                # Forth and back: a drift of the machine counts for all.
                for way in ways if turn % 2 else reversed(ways):
                    took[way] += _ask(children[way], case)
            quartiles = [sorted(took[way])[len(took[way]) // 4] for way in ways]
            cells = (f"{quartile} ({quartile / quartiles[0]:.2f})" for quartile in quartiles)
            print(f"{case:<12}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def _child(stack: ExitStack, way: str, url: str, before: Path | None) -> "subprocess.Popen[str]":
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "0",
    }
    if way == "before":
        environ["PYTHONPATH"] = str(before)
    else:
        environ["WEBRTC_EVENTS_SHARED_PAYLOADS"] = WAYS[way]
    command = [sys.executable, "-P", __file__, "--child", way]
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
    took: list[int] = json.loads(child.stdout.readline())
    return took


def _work(way: str) -> None:
    """Reads cases from stdin and answers each with the times that its events took, in us."""
    import redis

    from webrtc_events.core.settings import Settings
    from webrtc_events.store.script_options import StoreOptions
    from webrtc_events.store.store import Store

    settings = Settings.from_environ(os.environ)
    options = StoreOptions(shared_from=1) if way == "kept once" else StoreOptions()
    store = Store.connect(settings, options)
    raw = redis.Redis.from_url(os.environ["WEBRTC_EVENTS_REDIS_URL"], decode_responses=True)
    known: dict[str, Iterator[int]] = {}
    for line in sys.stdin:
        case = line.strip()
        if case not in known:
            known[case] = _rounds(store, raw, f"{way}-{case}", *map(int, case.split("x")))
        print(json.dumps([next(known[case]) for _ in range(EACH)]), flush=True)


def _rounds(store, raw, name: str, matches: int, size: int) -> Iterator[int]:  # type: ignore[no-untyped-def]
    """Makes the subscriptions, then does a round each time that it is asked for the next."""
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
        left = matches
        while left:
            claims: Sequence = store.claims.claim([partition], subscriptions=50, events=8)
            assert claims
            store.claims.settle(
                [Settlement(claim, claim.items[-1].number, sink=SinkResult.DELIVERED) for claim in claims]
            )
            left -= len(claims)
        yield _in_scripts(raw) - before


def _in_scripts(raw) -> int:  # type: ignore[no-untyped-def]
    """Of all that ran so far, in us."""
    return int(raw.info("commandstats").get("cmdstat_evalsha", {}).get("usec", 0))


if __name__ == "__main__":
    main()
