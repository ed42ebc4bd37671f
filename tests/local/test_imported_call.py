"""The file of a call, which is larger than a request of the API, in the console of `serve`."""

import re
from collections.abc import Callable
from pathlib import Path

import requests

from tests.harness.commands import Running
from webrtc_events.console.calls.call_file import MAX_FILE_BYTES, written_call_file
from webrtc_events.local.endpoints import Endpoints


def test_a_call_is_imported_again_in_the_console_of_serve(
    start_serve: Callable[[], Running], data: Path
) -> None:
    start_serve()
    console = Endpoints.read(data).console
    entry = {
        "kind": "accepted",
        "at": 0,
        "source": "gateway",
        "type": "session-status",
        "data": {"sdp": "v" * 150},
    }
    file = written_call_file("S-1", [entry] * 5_000, "full", 0)
    assert 1_000_000 < len(file) < MAX_FILE_BYTES
    with requests.Session() as session:
        page = session.get(f"{console}calls/", timeout=30).text
        token = re.findall(r'<meta name="csrf-token" content="([^"]+)">', page)
        answers = [
            session.post(
                f"{console}calls/-/import", data={"csrf_token": token}, files={"file": content}, timeout=30
            )
            for content in (file, file * 2)
        ]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert "Imported, not stored" in answers[0].text
    # A page, as all that a person may see.
    assert "Start of the console" in answers[1].text
