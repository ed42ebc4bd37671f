"""Core dumps, the environment in /proc, and logs of processes that crash: no key and no token is there."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.valkeys import eventually
from tests.production.service import Make
from webrtc_events.core import process

SINK_TOKEN = "s1nk-t0ken.of-the.subscriber"
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
NOBODY = 65534
# Becomes somebody else, which takes away what this is about: so it is given back first.
HOLDER = """
import ctypes, os, runpy, sys, time
refuse = runpy.run_path(sys.argv[1])["refuse_core_dumps"]
os.setuid(int(sys.argv[2]))
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[3]:
    refuse()
print("up", flush=True)
time.sleep(60)
"""


def cores(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.startswith("core")]


def crash(pid: int) -> None:
    """As a bug in a library that is written in C would."""
    resource.prlimit(pid, resource.RLIMIT_CORE, UNLIMITED)
    os.kill(pid, signal.SIGABRT)


@pytest.mark.slow
def test_a_crash_leaves_no_core_dump_and_no_secret_in_the_logs(service: Make, tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=control)
    crash(sleeper.pid)
    sleeper.wait(20)
    running, _ = service({"save": "", "appendonly": "yes"})
    running.start()
    expiry = "2036-01-01T00:00:00Z"
    credential = {
        "credentialType": "ACCESSTOKEN",
        "accessToken": SINK_TOKEN,
        "accessTokenType": "bearer",
        "accessTokenExpiresUtc": expiry,
    }
    assert running.subscribe(sinkCredential=credential).status_code == 201
    assert running.publish(1).status_code == 202
    sink = running._sink
    eventually(lambda: sink.requests, "it is delivered")
    assert sink.requests[0].header("authorization") == f"Bearer {SINK_TOKEN}"
    victims = [running.worker.pid, *running.api.forked(), running.api.pid]
    for pid in victims:
        crash(pid)
    eventually(lambda: not running.worker.running and not running.api.running, "they are gone")
    assert cores(tmp_path) == []
    logs = running.api.output + running.worker.output
    for secret in (SINK_TOKEN, "A" * 43, running.headers["Authorization"].removeprefix("Bearer ")):
        assert secret not in logs
    # Where dumps go elsewhere, this run did not show that they are refused.
    if not cores(control):
        pytest.skip(f"core dumps go to {Path('/proc/sys/kernel/core_pattern').read_text().strip()} here")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("refused", [False, True])
def test_another_process_of_the_same_user_cannot_read_the_environment(refused: bool) -> None:
    """Without it, it can: else this would show nothing."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, process.__file__, str(NOBODY), "refused" if refused else ""],
        env={"WEBRTC_EVENTS_SECRET_KEY": "A" * 43},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        read = subprocess.run(
            ["cat", f"/proc/{holder.pid}/environ"], capture_output=True, text=True, user=NOBODY, check=False
        )
        assert ("A" * 43 in read.stdout) is not refused
        assert ("Permission denied" in read.stderr) is refused
    finally:
        holder.kill()
        holder.communicate()
