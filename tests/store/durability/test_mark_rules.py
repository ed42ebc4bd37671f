"""What it means that a mark is there, or not."""

import pytest

from webrtc_events.store.durability.marks import Answer, LossKind, Mark, MarkId, find_loss

BEFORE, SEEN, LATEST = (MarkId(1_700_000_000_001 + n, 0) for n in range(3))


def answer(*, stream: str = "s", there: bool = True, before: MarkId | None = BEFORE) -> Answer:
    return Answer(Mark(stream, LATEST), there, before, written=False, epoch="e")


@pytest.mark.parametrize(
    ("seen", "found", "expected"),
    [
        (None, answer(there=False), None),
        (Mark("s", SEEN), answer(), None),
        (Mark("s", SEEN), answer(there=False), LossKind.ROLLED_BACK),
        # All that were before it are gone too: they were pushed out by later ones.
        (Mark("s", BEFORE), answer(there=False, before=None), None),
        (Mark("former", SEEN), answer(there=False, before=None), LossKind.EMPTIED),
        # A store that was emptied, and one that was put in its place from a copy of another.
        (Mark("former", SEEN), answer(there=False), LossKind.EMPTIED),
    ],
    ids=["the first time", "there", "rolled back", "pushed out", "emptied", "another store"],
)
def test_what_it_means(seen: Mark | None, found: Answer, expected: LossKind | None) -> None:
    loss = find_loss(seen, found, "a")
    assert (loss and loss.kind) == expected
    if loss and loss.kind is LossKind.ROLLED_BACK:
        assert loss.kept_ms == BEFORE.ms
        assert "2023-11-14T22:13:20.001Z" in str(loss)


def test_ids_are_compared_as_numbers() -> None:
    assert MarkId.parse("9-10") > MarkId.parse("9-9")
    assert MarkId.parse("10-0") > MarkId.parse("9-1")
    assert str(MarkId.parse("9-10")) == "9-10"
