"""How fast does one worker empty filled outboxes, and at what cost? `python bench/drain.py` measures it.

In every round each contender fills a store, then its worker starts, and what counts is the time from the
first arrival at the sink to the last. Contenders take turns, forth and back, so that a drift of the machine
counts for all: ratios are of rounds that ran one after the other. Store (Valkey, AOF), sink (nginx, TLS,
HTTP/1.1, answers 204) and worker are processes of their own. Nothing may be lost, and the service must keep
the order.

    --compare DIR   another checkout beside this one, run by DIR/.venv/bin/python, or by --python
    --compiled      this checkout, compiled, beside it as it is (`make bench-compiled` compiles it first)
    --traces        with traces of calls, `metadata` and `full`, beside none
    --metrics       scraped for metrics every second, beside without a listener
    --otel SHARE    with this share of events in a trace of OpenTelemetry that is recorded, beside none
    --devices       the store holding subscriptions to as many devices that no event concerns, beside none
    --peers         Celery, dramatiq, taskiq and BullMQ beside it (`make bench-peers` installs them), and
                    bare libcurl, which is the limit of wire and sink
"""

import argparse
import sys
from dataclasses import replace

from harness.collecting import collecting, traced_settings
from harness.contenders import SERVICE, Contender, compiled, libcurl, peers, release_in, service
from harness.report import finish, machine, show_machine
from harness.rounds import drain_table, play, ratios
from harness.scene import Scene, scene
from harness.scraping import scraping
from sinks import free_ports


def main() -> int:
    options = _options()
    (options.metrics_port,) = free_ports(1)
    with (
        scraping(options.metrics_port),
        collecting() as options.collector,
        scene(
            fsync=options.fsync, hosts=options.hosts, targets=options.subscriptions, events=options.events
        ) as place,
    ):
        found = {"machine": machine(), "store": place.store.version, "options": vars(options)}
        show_machine(found["machine"])
        print(place)
        rounds = play(_contenders(options, place), options.rounds, place)
    found["rounds"] = {name: [drained.as_json() for drained in drains] for name, drains in rounds.items()}
    tables = [drain_table(rounds)]
    if len(rounds) > 1:
        shown, found["ratios"] = ratios(rounds)
        tables.append(shown)
    finish(options.name, found, tables)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each contender")
    parser.add_argument("--subscriptions", type=int, default=200)
    parser.add_argument("--events", type=int, default=100, help="to each subscription")
    parser.add_argument("--hosts", type=int, default=1, help="of the sinks")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--compare", metavar="DIR", help="another checkout")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the other checkout")
    parser.add_argument("--compiled", action="store_true", help="with its delivery path compiled")
    parser.add_argument("--traces", action="store_true", help="with traces of calls")
    parser.add_argument("--metrics", action="store_true", help="scraped for metrics")
    parser.add_argument("--otel", type=float, metavar="SHARE", help="with traces of OpenTelemetry")
    parser.add_argument("--devices", action="store_true", help="with the next contract")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--libcurl", action="store_true", help="bare libcurl beside it, without other peers")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="peers whose names have one of these, comma-separated"
    )
    parser.add_argument("--worker", metavar="OPTIONS", default="", help="options of `webrtc-events worker`")
    parser.add_argument("--name", default="drain", help="of the JSON file in build/bench/")
    return parser.parse_args()


def _contenders(options: argparse.Namespace, place: Scene) -> list[Contender]:
    worker = options.worker.split()
    found = [service(SERVICE, place.job, place.job_path, options=worker)]
    if options.compare:
        release = release_in(options.compare, options.python)
        name = f"{SERVICE} in {options.compare}"
        found.append(service(name, place.job, place.job_path, release, worker))
    if options.compiled:
        found.append(service(f"{SERVICE}, compiled", place.job, place.job_path, compiled(), worker))
    if options.traces:
        found += [_traced(found[0], level) for level in ("metadata", "full")]
    if options.metrics:
        found.append(_scraped(found[0], options.metrics_port))
    if options.otel:
        found.append(_with_otel(found[0], options.collector, options.otel))
    if options.devices:
        found.append(_with_devices(found[0]))
    beside = [libcurl(place.job_path)] if options.libcurl or options.peers else []
    if options.peers:
        beside += peers(place.job_path)
    wanted = options.only.lower().split(",")
    return found + [peer for peer in beside if any(text in peer.name.lower() for text in wanted)]


def _traced(contender: Contender, level: str) -> Contender:
    environ = {**contender.environ, "WEBRTC_EVENTS_CALL_TRACES": level}
    return replace(contender, name=f"{contender.name}, traces {level}", environ=environ)


def _with_otel(contender: Contender, collector: str, share: float) -> Contender:
    environ = {**contender.environ, **traced_settings(collector, share)}
    return replace(contender, name=f"{contender.name}, {share:.0%} traced", environ=environ)


def _with_devices(contender: Contender) -> Contender:
    environ = {**contender.environ, "WEBRTC_EVENTS_NEXT": "true", "BENCH_DEVICES": "true"}
    return replace(contender, name=f"{contender.name}, 0.3: of other devices", environ=environ)


def _scraped(contender: Contender, port: int) -> Contender:
    environ = {**contender.environ, "WEBRTC_EVENTS_METRICS_ADDRESS": f"127.0.0.1:{port}"}
    return replace(contender, name=f"{contender.name}, scraped", environ=environ)


if __name__ == "__main__":
    sys.exit(main())
