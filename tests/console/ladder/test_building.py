"""From the entries of a trace to lanes, rows and spans."""

from typing import Any

from hypothesis import given, settings

from tests.console.ladder.hostile import entries
from tests.console.ladder.traces import failing, gone, hanging, healthy, played
from webrtc_events.console.ladder.building import MAX_ROWS, build_ladder, ladder_of
from webrtc_events.console.ladder.entries import read_entries
from webrtc_events.console.ladder.ladder import Ladder, LaneKind, Mark, Row, Shape, SpanKind
from webrtc_events.console.ladder.lanes import MAX_GATEWAYS, MAX_SINKS

Json = dict[str, Any]


def accepted(at: int = 1_000, **members: Any) -> Json:
    return {"kind": "accepted", "at": at, "source": "/g/1", "type": "session-status", **members}


def attempt(at: int = 1_010, **members: Any) -> Json:
    usual = {"subscription": "s", "host": "https://app:443", "ms": 5, "http": 204, "outcome": "delivered"}
    return {"kind": "attempt", "at": at, "type": "session-status", **usual, **members}


def only(*stored: Json) -> Row:
    (row,) = ladder_of(stored).rows
    return row


def marks(ladder: Ladder, lane: int) -> list[Mark]:
    return [row.mark for row in ladder.rows if row.target == lane and row.shape is not Shape.ARROW]


def test_lanes_are_the_gateway_the_service_and_each_subscription() -> None:
    ladder = ladder_of(played("answered", [healthy, healthy, failing]))
    assert [lane.kind for lane in ladder.lanes] == [LaneKind.GATEWAY, LaneKind.SERVICE, *[LaneKind.SINK] * 3]
    assert [lane.title for lane in ladder.lanes] == [
        "Gateway",
        "webrtc-events",
        "localhost:8443",
        "pbx.example.org:443",
        "app.example.com:443",
    ]
    assert ladder.lanes[0].lines == ("/webrtc-gateway/1",)
    assert ladder.lanes[2].lines[0] == "session-invitation"


def test_a_lane_of_a_device_names_all_types_that_came_by_it() -> None:
    ladder = ladder_of(
        [
            accepted(),
            attempt(type="session-invitation"),
            attempt(1_020, type="session-status"),
            attempt(1_030, type="session-status"),
            attempt(1_040, type="subscription-ended", last=True),
        ]
    )
    assert ladder.lanes[2].lines[0] == "invitation + status"


def test_what_is_written_into_a_channel_is_one_message_to_its_lane() -> None:
    members = {"channel": True, "host": "https://channels.localhost:443", "ms": None, "http": None}
    ladder = ladder_of([accepted(), attempt(**members), attempt(1_020, **members, outcome="drop")])
    assert [lane.title for lane in ladder.lanes] == ["Gateway", "webrtc-events", "notification channel"]
    _, written, given_up = ladder.rows
    assert (written.shape, written.mark, written.result, written.lost) == (
        Shape.ARROW,
        Mark.DELIVERED,
        "written",
        False,
    )
    assert given_up.shape is Shape.NOTE


def test_a_call_without_subscriptions_has_the_gateway_and_the_service() -> None:
    assert len(ladder_of([accepted()]).lanes) == 2


def test_nothing_at_all_is_an_empty_ladder() -> None:
    ladder = ladder_of([])
    assert (ladder.rows, ladder.spans, ladder.hidden) == ((), (), 0)
    assert len(ladder.lanes) == 2


def test_two_gateways_have_a_lane_each() -> None:
    ladder = ladder_of([accepted(), accepted(source="/g/2"), attempt()])
    assert [row.source for row in ladder.rows] == [0, 1, 2]
    assert [row.target for row in ladder.rows] == [2, 2, 3]


def test_rows_are_in_the_order_in_which_requests_began() -> None:
    ladder = ladder_of(played("answered", [healthy, healthy, hanging]))
    assert [row.at for row in ladder.rows] == sorted(row.at for row in ladder.rows)
    assert [row.number for row in ladder.rows] == list(range(1, len(ladder.rows) + 1))


def test_no_request_begins_before_its_event_is_accepted() -> None:
    ladder = ladder_of([accepted(1_000), attempt(1_010, ms=12, accepted_at=1_000)])
    assert [row.shape for row in ladder.rows] == [Shape.ARROW, Shape.EXCHANGE]
    assert ladder.rows[1].at == 1_000


def test_an_accepted_event_says_for_how_many_subscriptions() -> None:
    assert only(accepted(status="Ringing", sequence=3, subscriptions=2)).result == "for 2 subscriptions"
    assert only(accepted(subscriptions=0)).result == "for no subscription"
    assert only(accepted(subscriptions="?")).result == ""


def test_a_duplicate_is_marked() -> None:
    row = only(accepted(duplicate=True, subscriptions=2))
    assert (row.mark, row.result) == (Mark.DUPLICATE, "duplicate")


def test_a_delivery_has_status_number_and_time() -> None:
    *_, row = ladder_of([attempt(status="Ringing", sequence=3, attempt=2)]).rows
    assert (row.title, row.facts, row.result, row.consequence) == (
        "Ringing",
        ("#3", "try 2"),
        "204 · 5 ms",
        "",
    )


def test_a_retry_says_when_the_next_attempt_is() -> None:
    row = only(attempt(outcome="retry", http=503, reason="sink_error", delay_ms=2_500))
    assert (row.result, row.consequence, row.lost) == ("503 · 5 ms", "again in 2.5 s", False)


def test_a_request_without_an_answer_is_lost() -> None:
    row = only(attempt(outcome="retry", http=None, reason="connect_failed", delay_ms=100))
    assert (row.lost, row.result) == (True, "connect failed · 5 ms")


def test_what_is_given_up_without_a_try_is_a_note_at_its_lane() -> None:
    row = only(attempt(ms=None, http=None, outcome="drop", reason="too_late"))
    assert (row.shape, row.result, row.consequence) == (Shape.NOTE, "too late", "given up")


def test_a_slow_request_has_its_answer_in_another_row() -> None:
    ladder = ladder_of([attempt(20_000, ms=10_000, subscription="slow"), attempt(15_000)])
    assert [row.shape for row in ladder.rows] == [Shape.REQUEST, Shape.EXCHANGE, Shape.ANSWER]
    assert ladder.rows[0].key == ladder.rows[2].key
    (span,) = ladder.spans
    assert (span.kind, span.first, span.last) == (SpanKind.BUSY, 1, 3)


def test_waiting_lasts_until_the_next_attempt() -> None:
    retry = attempt(outcome="retry", http=503, delay_ms=2_000)
    ladder = ladder_of([retry, attempt(3_010, attempt=2)])
    assert [(span.kind, span.first, span.last) for span in ladder.spans] == [(SpanKind.WAIT, 1, 2)]
    assert [span.last for span in ladder_of([retry]).spans] == [None]


def test_a_lane_is_over_with_the_end_of_its_subscription() -> None:
    ladder = ladder_of(played("answered", [healthy, healthy, gone]))
    ended = [lane.ended_by for lane in ladder.lanes]
    assert ended[:4] == [None] * 4
    assert ladder.rows[(ended[4] or 0) - 1].consequence == "ends, network terminated"


def test_the_notification_of_an_end_is_the_last_of_a_lane() -> None:
    end = attempt(1_010, outcome="end", http=403, reason="NETWORK_TERMINATED")
    last = attempt(1_030, last=True, type="subscription-ended")
    ladder = ladder_of([end, last])
    assert ladder.rows[1].title == "subscription-ended"
    assert ladder.lanes[2].ended_by == 2


def test_a_lane_that_goes_on_is_not_over() -> None:
    assert ladder_of([attempt(outcome="end", http=410), attempt(1_030)]).lanes[2].ended_by is None
    assert ladder_of([attempt(outcome="retry", last=True)]).lanes[2].ended_by is None


def test_a_sink_that_is_asked_first_agrees_or_refuses() -> None:
    agreed = only(attempt(type="handshake", outcome="agreed", http=200))
    refused = only(attempt(type="handshake", outcome="refused", http=403, reason="not_allowed"))
    assert (agreed.title, agreed.consequence) == ("OPTIONS", "activated")
    assert (refused.mark, refused.consequence) == (Mark.REFUSED, "not activated, not allowed")


def test_a_pause_is_marked_and_a_moment_is_not() -> None:
    ladder = ladder_of([accepted(1_000), accepted(1_999), accepted(15_399)])
    assert [row.pause_ms for row in ladder.rows] == [None, None, 13_400]


def test_a_gap_and_an_unreadable_entry_go_over_all_lanes() -> None:
    ladder = ladder_of([{"kind": "gap", "at": 5, "count": 3}, {"kind": "novelty", "at": 6}, 7])
    assert [row.shape for row in ladder.rows] == [Shape.BREAK] * 3
    assert [row.title for row in ladder.rows] == [
        "3 entries not kept here",
        "entry of an unknown kind: novelty",
        "unreadable entry",
    ]
    assert ladder.rows[2].remarks == ("time unknown",)


def test_fifty_sinks_have_lanes_and_more_share_the_last() -> None:
    many = [attempt(subscription=f"s{number}") for number in range(MAX_SINKS + 10)]
    ladder = ladder_of(many)
    assert len(ladder.lanes) == 2 + MAX_SINKS
    assert ladder.lanes[-1].kind is LaneKind.OTHERS
    assert ladder.lanes[-1].title == "11 more subscriptions"
    assert sum(row.target == len(ladder.lanes) - 1 for row in ladder.rows) == 11
    assert len(ladder_of(many[:MAX_SINKS]).lanes) == 2 + MAX_SINKS


def test_gateways_are_bounded_too() -> None:
    ladder = ladder_of([accepted(source=f"/g/{number}") for number in range(20)])
    assert [lane.kind for lane in ladder.lanes] == [
        *[LaneKind.GATEWAY] * (MAX_GATEWAYS - 1),
        LaneKind.OTHERS,
        LaneKind.SERVICE,
    ]


def test_of_a_very_long_call_the_beginning_and_the_end_are_drawn() -> None:
    ladder = ladder_of([accepted(number, id=str(number)) for number in range(3_000)])
    assert len(ladder.rows) == MAX_ROWS
    assert ladder.hidden == 3_000 - MAX_ROWS + 1
    remark = next(row for row in ladder.rows if not row.key)
    assert remark.title == "2,001 entries not drawn; the JSON file has them"
    assert ladder.rows[0].at == 0
    assert ladder.rows[-1].at == 2_999


@settings(max_examples=40)
@given(entries())
def test_every_entry_is_shown_or_counted(stored: list[Any]) -> None:
    items = read_entries(stored)
    ladder = build_ladder(items)
    assert {item.key for item in items} == {row.key for row in ladder.rows}
    for row in ladder.rows:
        assert 0 <= row.source < len(ladder.lanes)
        assert 0 <= row.target < len(ladder.lanes)
    for span in ladder.spans:
        assert span.last is None or span.first < span.last <= len(ladder.rows)
