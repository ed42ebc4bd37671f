"""The generated types are those of the contracts."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ("webrtc-events.yaml", "webrtc_events_types.py"),
        ("webrtc-events-subscriptions.yaml", "webrtc_events_subscriptions_types.py"),
        ("network-events.yaml", "network_events_types.py"),
        ("channels.yaml", "channels_types.py"),
        ("operator-events.yaml", "operator_events_types.py"),
    ],
)
def test_types_are_not_stale(spec: str, types: str, tmp_path: Path) -> None:
    """If this fails: `make types`."""
    generated = tmp_path / types
    # The generator finds its options from where it runs, its formatter from where it writes.
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [
        str(SCRIPTS / "datamodel-codegen"),
        "--input",
        str(ROOT / "spec" / spec),
        "--output",
        str(generated),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    assert generated.read_text() == (ROOT / "webrtc_events" / "contract" / types).read_text()
