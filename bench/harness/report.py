"""How figures are shown and kept: a table for people, a JSON file for programs, the machine with both."""

import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pycurl

__all__ = ["BUILD", "finish", "machine", "median", "paired_ratio", "progress", "show_machine", "table"]

_BENCH = Path(__file__).resolve().parents[1]
_PEERS = _BENCH / "peers"
BUILD = _BENCH.parent / "build" / "bench"
_LIBRARIES = (
    "redis",
    "hiredis",
    "connexion",
    "uvicorn",
    "gunicorn",
    "jsonschema-rs",
    "orjson",
    "msgspec",
    "uvloop",
    "flask",
)


def machine() -> dict[str, Any]:
    """Where and when this runs, and how busy the machine is with other things."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "libcurl": pycurl.version,
        "peers": _peer_versions(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _peer_versions() -> dict[str, str]:
    """What `make bench-peers` installs: each pins its versions."""
    found = {}
    for path in sorted(_PEERS.glob("*/requirements.txt")):
        pins = (line.split("==") for line in path.read_text().splitlines() if "==" in line)
        found |= {name.partition("[")[0]: number for name, number in pins}
    found |= json.loads((_PEERS / "bullmq" / "package.json").read_text())["dependencies"]
    return found


def _version(library: str) -> str | None:
    try:
        return version(library)
    except ImportError:
        return None


def show_machine(found: Mapping[str, Any]) -> None:
    print("\n".join(_machine_lines(found)))


def _machine_lines(found: Mapping[str, Any]) -> list[str]:
    hardware = f"{found['processor']}, {found['cores']} cores, Linux {found['kernel']}"
    return [
        f"{found['time']}: {hardware}, Python {found['python']}; load {found['load_1_min']} at the start.",
        ", ".join(f"{name} {number}" for name, number in found["libraries"].items()) + ".",
        f"{found['libcurl']}.",
        "Peers: " + ", ".join(f"{name} {number}" for name, number in found["peers"].items()) + ".",
    ]


def progress(text: str) -> None:
    """A line on long work, at once."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown, which is easy to read as it is."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(heads), *cells]) for column in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        first, *others = row
        figures = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        return "| " + " | ".join([first.ljust(widths[0]), *figures]) + " |"

    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([line(heads), rule, *map(line, cells)])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def paired_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios of rounds that ran one after the other."""
    return statistics.median(mine / theirs for mine, theirs in zip(one, other, strict=True))


def finish(name: str, found: dict[str, Any], tables: Sequence[str]) -> None:
    """Shows the tables; keeps them and all figures in build/bench/, as NAME.md and NAME.json."""
    found["load_at_end"] = machine()["load_1_min"]
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    text = "\n\n".join(tables)
    about = [*_machine_lines(found["machine"]), f"Load {found['load_at_end']} at the end."]
    (BUILD / f"{name}.md").write_text("\n".join([text, "", *about]) + "\n")
    print(text)
    progress(f"load {found['load_at_end']} at the end; {BUILD / name}.json")
