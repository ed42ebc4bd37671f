"""Correlators and the like."""

import uuid
from itertools import islice

from webrtc_events.core.random_uuids import random_uuids


def test_they_are_random_uuids_and_no_two_are_equal() -> None:
    texts = [*islice(random_uuids(), 2_000), *islice(random_uuids(), 2_000)]
    assert len(set(texts)) == len(texts)
    for text in texts:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)
    # Every digit but those two is any of sixteen.
    fixed = {at for at in range(36) if len({text[at] for text in texts}) < 16}
    assert fixed == {8, 13, 14, 18, 19, 23}
