"""All measurements, one after the other, and their plots: `make bench`. Half an hour or so.

Tables and figures are in build/bench/, each as NAME.md and NAME.json, together as report.md; plots are SVG.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from harness.held import can_hold
from harness.plots import draw_all
from harness.report import BUILD, progress

_HERE = Path(__file__).parent


def main() -> int:
    options = _options()
    rounds = ("--rounds", str(options.rounds))
    parts: dict[str, tuple[str, ...]] = {
        "drain": ("--peers", "--events", str(options.events), *rounds),
        "api": rounds,
        "latency": rounds,
        "idle": ("--subscriptions", str(options.subscriptions), *rounds),
        # Where workers cannot be held, they share the cores as they come.
        "workers": ("--events", str(options.events), *rounds, *(() if can_hold() else ("--share", "0"))),
        # From the figures of drain and api.
        "scale_model": (),
    }
    failed = []
    for part, arguments in parts.items():
        progress(f"{part}: begins")
        command = [sys.executable, str(_HERE / f"{part}.py"), *arguments]
        if subprocess.run(command, check=False).returncode:
            failed.append(part)
    tables = [f"## {part}\n\n{(BUILD / f'{part}.md').read_text()}" for part in parts if part not in failed]
    report = BUILD / "report.md"
    report.write_text("\n".join(tables))
    plots = draw_all(BUILD, options.plots or BUILD)
    progress(f"{report}; {', '.join(map(str, plots))}")
    for part in failed:
        print(f"{part}.py failed", file=sys.stderr)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each contender, in each measurement")
    parser.add_argument("--events", type=int, default=100, help="to each of 200 subscriptions, to be drained")
    parser.add_argument("--subscriptions", type=int, default=100_000, help="that are idle")
    parser.add_argument("--plots", type=Path, help="folder for the plots; build/bench/ by default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
