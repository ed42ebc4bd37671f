"""The picture of a ladder: well-formed whatever was recorded, and readable without eyes."""

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from tests.console.ladder.hostile import entries
from tests.console.ladder.traces import failing, gone, hanging, healthy, played
from webrtc_events.console.ladder.building import ladder_of
from webrtc_events.console.ladder.drawing import body, heads
from webrtc_events.console.ladder.ladder import Ladder
from webrtc_events.console.ladder.layout import HEAD_HEIGHT, laid_out
from webrtc_events.console.ladder.sentences import sentence
from webrtc_events.console.ladder.standalone import standalone_svg
from webrtc_events.console.ladder.text_width import fitted, fitted_middle, width

SVG = "{http://www.w3.org/2000/svg}"
SINKS = [healthy, healthy, failing, hanging, gone]


def read(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 (written by the test's own process)


def page_drawing(ladder: Ladder) -> ET.Element:
    layout = laid_out(ladder)
    inside = heads(ladder, layout) + body(ladder, layout, lambda row: f"#{row.key}" if row.key else None)
    return read(f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>')


def texts(picture: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in picture.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", ["answered", "declined", "no-answer", "cancelled", "hold-resume"])
def test_a_recorded_call_is_drawn_whole(name: str) -> None:
    trace = played(name, SINKS)
    picture = read(standalone_svg(ladder_of(trace), "session"))
    shown = texts(picture)
    for entry in trace:
        if entry["kind"] == "accepted":
            title = entry["status"] if entry["type"] == "session-status" else entry["type"]
            assert f"{title}#{entry['sequence']}" in shown
    assert "410 · 18 ms" in shown or name != "answered"


def test_a_row_in_a_page_is_a_link_that_says_what_happened() -> None:
    ladder = ladder_of(played("answered", SINKS))
    links = list(page_drawing(ladder).iter(f"{SVG}a"))
    assert [link.get("aria-label") for link in links] == [sentence(ladder, row) for row in ladder.rows]
    assert all(link.get("href") and link.get("data-at") and link.get("data-key") for link in links)


def test_sentences_say_who_sent_what_to_whom_and_what_came_of_it() -> None:
    ladder = ladder_of(played("answered", SINKS))
    found = [sentence(ladder, row) for row in ladder.rows]
    assert found[0] == (
        "09:14:02.356: /webrtc-gateway/1 to webrtc-events: session-invitation, #1, with an SDP offer;"
        " for 1 subscription"
    )
    assert any("503 · 11 ms, again in 1.0 s" in text for text in found)
    assert any("was not sent: too late, given up" in text for text in found)
    assert any("ends, network terminated" in text for text in found)


def test_a_file_has_a_title_a_description_and_its_style() -> None:
    picture = read(standalone_svg(ladder_of(played("declined")), "S-1"))
    assert picture.get("role") == "img"
    assert picture.findtext(f"{SVG}title") == "Call S-1"
    assert "3 lanes" in (picture.findtext(f"{SVG}desc") or "")
    style = picture.findtext(f"{SVG}style") or ""
    assert ".l-line" in style
    assert "var(" not in style
    assert not list(picture.iter(f"{SVG}a"))


def test_an_empty_call_is_drawn() -> None:
    read(standalone_svg(ladder_of([]), ""))


def test_heads_fit_and_lanes_do_not_touch() -> None:
    layout = laid_out(ladder_of(played("answered", SINKS)))
    picture = page_drawing(ladder_of(played("answered", SINKS)))
    boxes = [
        (float(box.get("x", 0)), float(box.get("width", 0)), float(box.get("height", 0)))
        for box in picture.iter(f"{SVG}rect")
        if "l-head " in f"{box.get('class')} "
    ]
    assert len(boxes) == len(layout.centers)
    for (left, wide, high), (following, _, _) in pairwise(boxes):
        assert left + wide + 10 <= following
        assert high <= HEAD_HEIGHT
    assert boxes[-1][0] + boxes[-1][1] <= layout.width


def test_what_went_wrong_differs_in_more_than_colour() -> None:
    def signs(outcome: str) -> set[str]:
        attempt = {"kind": "attempt", "at": 5, "ms": 2, "http": 500, "host": "h", "outcome": outcome}
        (link,) = page_drawing(ladder_of([attempt])).iter(f"{SVG}a")
        (group,) = link.iter(f"{SVG}g")
        return {ET.tostring(part).decode() for part in group}

    drawn = [signs(outcome) for outcome in ("delivered", "retry", "drop", "end")]
    assert all(first.isdisjoint(second) for first, second in pairwise(drawn))


@settings(max_examples=40)
@given(entries())
def test_whatever_was_recorded_the_picture_is_well_formed_and_runs_nothing(stored: list[Any]) -> None:
    ladder = ladder_of(stored)
    hostile = str(stored[0]) if stored else "\x00]]>"
    for picture in (read(standalone_svg(ladder, hostile)), page_drawing(ladder)):
        for element in picture.iter():
            assert element.tag in {f"{SVG}{name}" for name in _ELEMENTS}
            assert not [name for name in element.attrib if name.lower().startswith("on")]
            assert element.get("href", "#").startswith("#")


_ELEMENTS = {"svg", "title", "desc", "style", "rect", "line", "path", "circle", "text", "tspan", "g", "a"}


@settings(max_examples=40)
@given(entries(max_size=4))
def test_every_row_is_in_the_picture(stored: list[Any]) -> None:
    ladder = ladder_of(stored)
    rows = [
        element for element in page_drawing(ladder).iter() if (element.get("class") or "").startswith("l-row")
    ]
    assert len(rows) == len(ladder.rows)


def test_texts_are_cut_to_their_room() -> None:
    assert fitted("Ringing", 200, 13) == "Ringing"
    cut = fitted("a very long reason that has no room", 80, 13)
    assert cut.endswith("…")
    assert width(cut, 13) <= 80
    assert fitted_middle("0123456789abcdef0123456789abcdef", 100, 10.5) == "0123456…9abcdef"
    assert width("日本", 10) > width("ab", 10)
