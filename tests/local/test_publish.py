"""The `publish` command against a real `serve`."""

import codecs
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import COMMAND, Running, clean_environ, run
from webrtc_events.local.recording import load_recording, played_anew


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("publish") / "data"


@pytest.fixture(scope="module")
def _serve(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Any:
    serve = Running(
        tmp_path_factory.mktemp("log") / "serve.log",
        *("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(data)),
    )
    serve.await_output("Ctrl-C stops everything")
    yield serve
    serve.stop()


pytestmark = pytest.mark.usefixtures("_serve")


def _events() -> list[dict[str, Any]]:
    return played_anew(load_recording("answered"), 1_800_000_000_000)


def _lines(events: list[Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def test_file_is_published_once(data: Path, tmp_path: Path) -> None:
    events = _events()
    file = tmp_path / "call.ndjson"
    file.write_bytes(codecs.BOM_UTF8 + _lines(events).replace(b"\n", b"\r\n") + b"\n")
    first, second = (run("publish", str(file), "--data-dir", str(data)) for _ in range(2))
    assert (first.returncode, first.stdout.decode()) == (
        0,
        f"accepted {len(events)}, duplicate 0, rejected 0\n",
    )
    assert (second.returncode, second.stdout.decode()) == (
        0,
        f"accepted 0, duplicate {len(events)}, rejected 0\n",
    )
    assert (first.stderr, second.stderr) == (b"", b"")


def test_bad_lines_are_named_and_the_others_sent(data: Path) -> None:
    good = _events()[:3]
    invalid = _events()[0]
    del invalid["data"]["originatorAddress"]
    lines = [
        _lines([good[0]]),
        b"{broken\n",
        _lines([good[1]]),
        _lines([invalid]),
        b"\xff\n",
        b"7\n",
        _lines([good[2]]),
    ]
    done = run("publish", "-", "--data-dir", str(data), stdin=b"".join(lines))
    assert done.returncode == 1
    assert done.stdout == b"accepted 3, duplicate 0, rejected 4\n"
    told = done.stderr.decode().splitlines()
    assert [line.split(":")[0] for line in told] == ["line 2", "line 4", "line 5", "line 6"]
    assert "originatorAddress" in told[1]


def test_more_than_a_batch_is_published(data: Path) -> None:
    events = [event for _ in range(20) for event in _events()]
    done = run("publish", "-", "--data-dir", str(data), stdin=_lines(events))
    assert done.stdout.decode() == f"accepted {len(events)}, duplicate 0, rejected 0\n"


def test_line_that_spoils_its_batch_spoils_nothing_else(data: Path) -> None:
    """A repeated name in one object makes the whole body refused."""
    events = _events()[:4]
    doubled = _lines([events[3]]).replace(b'{"id"', b'{"id": "x", "id"', 1)
    done = run(
        "publish", "-", "--data-dir", str(data), stdin=_lines(events[:2]) + doubled + _lines([events[2]])
    )
    assert done.stdout == b"accepted 3, duplicate 0, rejected 1\n"
    assert done.stderr.startswith(b"line 3:")


def test_events_of_a_live_pipe_do_not_wait_for_a_full_batch(data: Path) -> None:
    command = [*COMMAND, "publish", "-", "--data-dir", str(data)]
    events = _events()[:2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environ()
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"{broken\n")
        process.stdin.flush()
        assert process.stderr.readline().startswith(b"line 1:")
        process.stdin.write(_lines(events))
        process.stdin.close()
        assert process.wait(30) == 1


def test_wrong_token_is_told(data: Path) -> None:
    done = run("publish", "-", "--token", "nonsense", "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 1
    assert b"401" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_is_no_url_is_told(data: Path) -> None:
    done = run("publish", "-", "--url", "nonsense", "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 2
    assert b"must start with http" in done.stderr


def test_absent_server_is_told(data: Path) -> None:
    url = "http://127.0.0.1:9/network/v0"
    done = run("publish", "-", "--url", url, "--data-dir", str(data), stdin=_lines(_events()[:1]))
    assert done.returncode == 1
    assert b"is `webrtc-events serve` running?" in done.stderr
