"""A file of a call shows the same ladder, and nothing of it is kept."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import contents
from tests.console.ladder.traces import failing, gone, hanging, healthy, played
from tests.console.traced import keep
from webrtc_events.console.calls.call_file import MAX_FILE_BYTES, read_call_file, written_call_file
from webrtc_events.store.store import Store

Post = Callable[..., TestResponse]


def picture(page: str) -> str:
    """What is drawn, without the addresses of details, which a file has not."""
    (drawn,) = re.findall(r'<svg class="ladder ladder-body".*?</svg>', page, re.DOTALL)
    return re.sub(r' (href|data-key)="[^"]*"', "", drawn)


def send(client: FlaskClient, token: str, content: bytes | str, **fields: str) -> TestResponse:
    """As a browser sends a form with a file. (Werkzeug's client leaves the file of a large one open.)"""
    data = content.encode() if isinstance(content, str) else content
    parts = [
        f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {"csrf_token": token, **fields}.items()
    ]
    head = b'--line\r\nContent-Disposition: form-data; name="file"; filename="call.json"\r\n\r\n'
    body = b"".join([*parts, head, data, b"\r\n--line--\r\n"])
    return client.post("/calls/-/import", data=body, content_type="multipart/form-data; boundary=line")


@pytest.mark.parametrize("revealed", [False, True])
def test_an_imported_call_has_the_same_ladder(
    store: Store, client: FlaskClient, token: str, post: Post, *, revealed: bool
) -> None:
    session = keep(store, played("answered", [healthy, failing, hanging, gone]))
    if revealed:
        post(f"/calls/{session}/-/reveal")
    exported = client.get(f"/calls/{session}/-/trace.json").data
    answer = send(client, token, exported)
    assert answer.status_code == 200
    assert "Imported, not stored" in answer.text
    assert picture(answer.text) == picture(client.get(f"/calls/{session}").text)


def test_nothing_of_it_is_stored(raw_store: Any, client: FlaskClient, token: str) -> None:
    before = contents(raw_store)
    content = written_call_file("S-1", played("declined"), "full", 0)
    assert send(client, token, content).status_code == 200
    assert contents(raw_store) == before


def test_its_personal_data_is_masked_unless_asked_for(
    client: FlaskClient, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = written_call_file("S-1", played("declined"), "full", 0)
    assert "Carol Lindqvist" not in send(client, token, content).text
    with caplog.at_level(logging.INFO, "webrtc_events.console.audit"):
        assert "Carol Lindqvist" in send(client, token, content, personal="on").text
    assert "imported call" in caplog.text


def test_what_was_masked_before_stays_as_it_is(store: Store, client: FlaskClient, token: str) -> None:
    session = keep(store, played("declined"))
    exported = client.get(f"/calls/{session}/-/trace.json").text
    (name,) = set(re.findall(r'"originatorName": "(~[0-9a-f]+)"', exported))
    assert name in send(client, token, exported).text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Not a JSON text"),
        ("[]", "no file of a call"),
        ("{}", "no file of a call"),
        ('{"format": "webrtc-events call trace", "version": 2, "entries": []}', "another version"),
        ('{"format": "webrtc-events call trace", "version": 1, "entries": {}}', "no list of entries"),
        ("[" * 5_000, "nested more than"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_another_file_is_refused_with_a_reason(
    client: FlaskClient, token: str, content: bytes | str, message: str
) -> None:
    answer = send(client, token, content)
    assert answer.status_code == 400
    assert message in answer.text


def test_no_file_is_refused(post: Post) -> None:
    assert post("/calls/-/import").status_code == 400


def test_a_file_of_two_megabytes_is_read_and_a_larger_one_is_not(client: FlaskClient, token: str) -> None:
    content = written_call_file(
        "S-1", [{"kind": "gap", "at": 1, "note": "x" * (MAX_FILE_BYTES - 1_000)}], "full", 0
    )
    assert send(client, token, content).status_code == 200
    assert send(client, token, content + " " * 200_000).status_code == 413


def test_damaged_entries_are_shown_as_such(client: FlaskClient, token: str) -> None:
    trace = [*played("declined"), {"kind": "accepted"}, 7, None]
    answer = send(client, token, written_call_file("S-1", trace, "full", 0))
    assert answer.status_code == 200
    assert answer.text.count("unreadable entry") >= 2


def test_a_file_without_entries_is_an_empty_call(client: FlaskClient, token: str) -> None:
    assert "The file has no entries" in send(client, token, written_call_file("S-1", [], "full", 0)).text


def test_what_is_written_is_read_again() -> None:
    trace = played("answered", [healthy, gone])
    read = read_call_file(written_call_file("S-1", trace, "full", 0).encode())
    assert (read.session, read.level, read.exported_at) == ("S-1", "full", "1970-01-01T00:00:00.000Z")
    assert read.entries == trace
