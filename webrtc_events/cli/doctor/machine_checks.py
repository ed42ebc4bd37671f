"""Checks this machine: open files, the data directory of `serve`, ports, CAs."""

import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from webrtc_events.cli.doctor.findings import Area, Finding, fine, warning
from webrtc_events.core.process import raise_descriptor_limit
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.sinks.ca_bundle import CaBundle

__all__ = ["check_machine"]

_ENOUGH: Final = 1 << 24
_CONNECT_S: Final = 1.0
_PORTS: Final = {9091: "API", 9093: "console", 9443: "local sink", 9444: "local sink without trust"}
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def check_machine(settings: Settings, data: Path) -> Iterator[Finding]:
    yield from _descriptors(settings)
    yield from _cas(settings)
    yield from _data_directory(data)
    yield _ports()


def _descriptors(settings: Settings) -> Iterator[Finding]:
    """As a worker would have them that this shell starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    has = raise_descriptor_limit()
    limits = settings.sink_in_flight, settings.sink_connections
    wanted = HostLimits.of(*limits, _ENOUGH).permits
    gets = HostLimits.of(*limits, has).permits
    shown = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    text = f"a worker may open {has:,} files (soft limit {soft:,}, hard {shown}): {gets:,} requests at once"
    if gets < wanted:
        action = (
            f"It would have {wanted:,} with {2 * wanted:,} files: `ulimit -n`, or LimitNOFILE= in its unit."
        )
        yield warning(Area.MACHINE, text, action)
    else:
        yield fine(Area.MACHINE, text)
    if settings.sink_connections > gets:
        text = (
            f"WEBRTC_EVENTS_SINK_CONNECTIONS is {settings.sink_connections}, more than all requests at once"
        )
        yield warning(Area.MACHINE, text, "Raise the limit of open files, or lower the setting.")


def _cas(settings: Settings) -> Iterator[Finding]:
    with closing(CaBundle(settings.sink_ca_file)) as bundle:
        count = bundle.path.read_bytes().count(b"-----BEGIN CERTIFICATE-----")
    more = f", those of {settings.sink_ca_file} among them" if settings.sink_ca_file else ""
    text = f"{count} CAs may sign certificates of sinks{more}"
    if count:
        yield fine(Area.MACHINE, text)
    else:
        yield warning(Area.MACHINE, text, "Install the package ca-certificates.")


def _data_directory(data: Path) -> Iterator[Finding]:
    """Keys of a `serve` are in it, and its store."""
    if not data.exists():
        yield fine(Area.MACHINE, f"no `serve` has run on {data}, which production does not need")
        return
    faults = [path for path in (data, *data.glob("*.json"), *data.glob("**/*.pem")) if _is_open(path)]
    for path in faults:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = f"others may read {path} (mode {mode:03o})"
        yield warning(Area.MACHINE, text, f"Run: chmod go= {path}")
    if not os.access(data, os.W_OK | os.X_OK):
        text = f"the data directory {data} cannot be written to"
        yield warning(Area.MACHINE, text, "Give it to the user who runs `serve`, or name another: --data-dir")
    elif not faults:
        yield fine(Area.MACHINE, f"the data directory {data} can be written to, by you alone")


def _is_open(path: Path) -> bool:
    """CA certificates are for everybody; what has a key is not."""
    if path.is_file() and path.suffix == ".pem":
        try:
            if b"PRIVATE KEY" not in path.read_bytes():
                return False
        except OSError:
            return False
    return bool(path.stat().st_mode & _OTHERS)


def _ports() -> Finding:
    taken = [f"{port} ({name})" for port, name in _PORTS.items() if _is_taken(port)]
    if not taken:
        return fine(Area.MACHINE, f"the usual ports are free: {', '.join(map(str, _PORTS))}")
    text = f"something listens on these of the usual ports: {', '.join(taken)}"
    return fine(Area.MACHINE, f"{text}; if it is not this service, start that with --port")


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), _CONNECT_S).close()
    except OSError:
        return False
    return True
