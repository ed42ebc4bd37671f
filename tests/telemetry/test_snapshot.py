"""What several processes come to."""

from webrtc_events.telemetry.snapshot import HistogramValue, Snapshot, continued, ended, merged


def test_counts_add_up_also_those_of_processes_that_ended() -> None:
    lives = Snapshot(2.0, {"retries_total": {("dns",): 1, ("tls",): 2}})
    over = ended(Snapshot(1.0, {"retries_total": {("dns",): 10}}))
    assert merged([lives, over]) == {"retries_total": {("dns",): 11, ("tls",): 2}}


def test_histograms_add_up_bucket_by_bucket() -> None:
    one, two = HistogramValue((1, 0, 2), 1.5), HistogramValue((0, 4, 1), 2.0)
    both = [Snapshot(1.0, {"attempt_seconds": {(): value}}) for value in (one, two)]
    assert merged(both) == {"attempt_seconds": {(): HistogramValue((1, 4, 3), 3.5)}}


def test_what_processes_have_now_is_of_those_that_live() -> None:
    lives, over = (Snapshot(1.0, {"processes": {("worker",): 1}}, lives=lives) for lives in (True, False))
    assert merged([lives, lives, over]) == {"processes": {("worker",): 2}}


def test_of_the_store_the_latest_word_counts() -> None:
    early, late = (Snapshot(at_s, {"outbox_events": {(): at_s}}) for at_s in (100.0, 101.0))
    assert merged([late, early]) == merged([early, late]) == {"outbox_events": {(): 101.0}}


def test_the_word_of_a_process_that_ended_counts_for_a_minute_until_another_has_looked() -> None:
    over = ended(Snapshot(100.0, {"outbox_events": {(): 7}, "sweeps_total": {(): 3}}))
    counted = {"sweeps_total": {(): 3}}
    for at_s, expected in ((130.0, {"outbox_events": {(): 7}} | counted), (161.0, counted)):
        other = Snapshot(at_s, {"channel_readers": {(): 0}})
        assert merged([over, other]) == expected | {"channel_readers": {(): 0}}


def test_a_check_is_passed_if_all_say_so() -> None:
    said = [Snapshot(1.0, {"store_check": {("writes",): value, ("clock",): 1}}) for value in (1, 0, 1)]
    assert merged(said) == {"store_check": {("writes",): 0, ("clock",): 1}}


def test_the_next_process_in_a_place_goes_on_counting() -> None:
    former = Snapshot(
        1.0,
        {"sweeps_total": {(): 5}, "channel_readers": {(): 3}, "retries_total": {("dns",): 1}},
        lives=False,
    )
    now = Snapshot(9.0, {"sweeps_total": {(): 2}, "channel_readers": {(): 0}})
    assert continued(now, former) == Snapshot(
        9.0, {"sweeps_total": {(): 7}, "channel_readers": {(): 0}, "retries_total": {("dns",): 1}}
    )


def test_what_another_release_says_is_left_out_where_it_does_not_fit() -> None:
    other = Snapshot(2.0, {"of_another_release": {(): 1}, "attempt_seconds": {(): HistogramValue((1,), 1.0)}})
    own = Snapshot(1.0, {"attempt_seconds": {(): HistogramValue((1, 1), 1.0)}})
    assert merged([own, other]) == {"attempt_seconds": {(): HistogramValue((1, 1), 1.0)}}


def test_nobody_says_nothing() -> None:
    assert merged([]) == {}
