"""Dead letters by the many: redelivered in order and once, exported whole, and both gone on with."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli.operators import HOSTILE, lines_of
from tests.harness.builders import append, created, invitation
from tests.harness.commands import clean_environ, run
from webrtc_events.cli.dead_letter_choice import Wanted
from webrtc_events.cli.dead_letter_export import export_letters, part_of
from webrtc_events.cli.redelivering import redeliver_all
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
EVERYTHING = Wanted(None, None, None, None, None)


def lose(store: Store, count: int, *, reason: str = "deadline_exceeded") -> Subscription:
    """A subscription with that many dead letters."""
    made = created(store)
    for first in range(1, count + 1, 8):
        numbers = range(first, min(first + 8, count + 1))
        append(store, *(invitation(number) for number in numbers))
        (claim,) = store.claims.claim([P], subscriptions=1, events=8)
        dead = tuple(DroppedEvent(item.number, reason, "") for item in claim.items)
        store.claims.settle([Settlement(claim, claim.items[-1].number, dead=dead)])
    return made


def kept(store: Store) -> list[str]:
    return [str(letter.id) for letter in DeadLetters(store).oldest_first(DeadLetterFilter())]


def waiting(raw_store: "redis.Redis", subscription: Subscription) -> list[int]:
    """The numbers of the events in its outbox, in order."""
    return [parse_entry(entry).event_number for entry in raw_store.lrange(P.outbox(subscription.id), 0, -1)]


@pytest.fixture
def dead_letters(environ: dict[str, str]) -> Any:
    def command(*arguments: str) -> Any:
        return run("dead-letters", *arguments, env=clean_environ() | environ)

    return command


def test_until_is_a_moment_or_a_span(store: Store, dead_letters: Any) -> None:
    lose(store, 3)
    assert dead_letters("list", "--until", "1h").stdout == b""
    assert len(lines_of(dead_letters("list", "--json", "--since", "1h", "--until", "0s").stdout)) == 3
    assert dead_letters("list", "--until", "2020-01-01T00:00:00Z").stdout == b""
    wrong = dead_letters("list", "--until", "tomorrow")
    assert wrong.returncode == 2
    assert b"--until" in wrong.stderr
    assert dead_letters("redeliver", "--until", "1h").stdout == b"0 redelivered, 0 refused\n"
    assert len(kept(store)) == 3


def test_an_interrupted_redelivery_is_repeated_without_a_double_and_in_order(
    store: Store,
    raw_store: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = lose(store, 20)
    done, redeliver = 0, DeadLetters.redeliver

    def interrupted(self: DeadLetters, letter: Any) -> Any:
        nonlocal done
        done += 1
        if done == 8:
            raise KeyboardInterrupt
        return redeliver(self, letter)

    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "redeliver", interrupted)
        assert redeliver_all(store, EVERYTHING) == 130
    assert capsys.readouterr().out == (
        "7 redelivered, 0 refused; the rest is untouched: run the same command again\n"
    )
    assert waiting(raw_store, made) == list(range(1, 8))
    assert redeliver_all(store, EVERYTHING) == 0
    assert capsys.readouterr().out == "13 redelivered, 0 refused\n"
    assert waiting(raw_store, made) == list(range(1, 21))
    assert redeliver_all(store, EVERYTHING) == 0
    assert waiting(raw_store, made) == list(range(1, 21))


def test_a_store_that_goes_away_says_what_was_done(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(store, 4)
    done, redeliver = 0, DeadLetters.redeliver

    def breaks(self: DeadLetters, letter: Any) -> Any:
        nonlocal done
        done += 1
        if done == 3:
            raise Unavailable
        return redeliver(self, letter)

    monkeypatch.setattr(DeadLetters, "redeliver", breaks)
    assert redeliver_all(store, EVERYTHING) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("2 redelivered, 0 refused; the rest is untouched")
    assert "the store went away" in printed.err


def test_where_an_outbox_is_full_later_letters_stay_behind(
    store: Store,
    store_with: Callable[..., Store],
    raw_store: "redis.Redis",
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = lose(store, 20)
    small = store_with(outbox_length=16)
    assert redeliver_all(small, EVERYTHING) == 0
    first = capsys.readouterr().out
    numbers = waiting(raw_store, made)
    assert numbers == list(range(1, len(numbers) + 1))
    assert 0 < len(numbers) < 20
    assert f"{len(numbers)} redelivered, {20 - len(numbers)} refused" in first
    assert "an older one of its subscription is left" in first
    raw_store.delete(P.outbox(made.id))
    assert redeliver_all(store, EVERYTHING) == 0
    assert waiting(raw_store, made) == list(range(len(numbers) + 1, 21))


@pytest.fixture
def store_with(environ: dict[str, str]) -> Any:
    opened: list[Store] = []

    def connect(**settings: int) -> Store:
        given = {f"WEBRTC_EVENTS_{name.upper()}": str(value) for name, value in settings.items()}
        opened.append(Store.connect(Settings.from_environ(environ | given)))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def test_an_export_has_every_letter_with_its_event(
    store: Store, raw_store: "redis.Redis", dead_letters: Any, tmp_path: Path
) -> None:
    made = lose(store, 5)
    damaged = {
        "subscription": HOSTILE,
        "entry": "nonsense",
        "reason": "damaged",
        "at": "x",
        "detail": HOSTILE,
    }
    raw_store.xadd(P.dead, damaged)
    output = tmp_path / "lost.ndjson"
    done = dead_letters("export", "--output", str(output))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"6 exported\n")
    lines = lines_of(output.read_bytes())
    assert [line["letter"] for line in lines] == kept(store)
    assert [line["asSent"] and line["asSent"]["id"] for line in lines] == [
        *(f"{made.id}.{number}" for number in range(1, 6)),
        None,
    ]
    assert lines[0]["asSent"]["data"]["originatorAddress"] == "tel:+12025550100"
    assert lines[5]["fault"] == "its entry cannot be read"
    # Personal data is in it.
    assert output.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["lost.ndjson"]
    again = dead_letters("export", "--output", str(output))
    assert again.returncode == 1
    assert b"is there already" in again.stderr
    for shown in (dead_letters("list"), dead_letters("show", kept(store)[5])):
        assert (shown.returncode, b"\x1b" in shown.stdout) == (0, False)
        assert "\u202e" not in shown.stdout.decode()
    assert len(kept(store)) == 6


def test_the_standard_output_has_the_lines_alone(store: Store, dead_letters: Any) -> None:
    lose(store, 3)
    done = dead_letters("export", "--since", "1h")
    names = [line["letter"] for line in lines_of(done.stdout)]
    assert names == kept(store)
    assert [line["letter"] for line in lines_of(dead_letters("export", "--after", names[0]).stdout)] == names[
        1:
    ]


def test_a_part_is_continued_behind_its_last_whole_line(
    store: Store, dead_letters: Any, tmp_path: Path
) -> None:
    lose(store, 6)
    output = tmp_path / "lost.ndjson"
    assert dead_letters("export", "--output", str(output)).returncode == 0
    whole = output.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (len(lines[0]) // 2, len(lines[0]), len(b"".join(lines[:3])) + 7, len(whole)):
        output.unlink()
        part = part_of(output, EVERYTHING)
        part.write_bytes(whole[:cut])
        done = dead_letters("export", "--output", str(output))
        assert done.returncode == 0, done.stderr
        assert output.read_bytes() == whole
        assert not part.exists()
    part.write_bytes(b"no export\n")
    output.unlink()
    done = dead_letters("export", "--output", str(output))
    assert done.returncode == 1
    assert b"is no export" in done.stderr


@pytest.mark.parametrize(("fault", "status"), [(KeyboardInterrupt, 130), (Unavailable, 1)])
def test_an_interrupted_export_leaves_a_part_that_says_so(
    store: Store,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: type[BaseException],
    status: int,
) -> None:
    lose(store, 30)
    output = tmp_path / "lost.ndjson"
    oldest_first = DeadLetters.oldest_first

    def breaks(self: DeadLetters, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
        yield from islice(oldest_first(self, wanted), 12)
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "oldest_first", breaks)
        assert export_letters(store, settings, EVERYTHING, output, None) == status
    assert not output.exists()
    assert "12 exported, not all. " in (err := capsys.readouterr().err)
    assert "is not whole: run the same command again" in err
    assert export_letters(store, settings, EVERYTHING, output, None) == 0
    assert "18 exported" in capsys.readouterr().err
    assert [line["letter"] for line in lines_of(output.read_bytes())] == kept(store)
