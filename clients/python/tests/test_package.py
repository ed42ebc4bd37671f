"""The package itself."""

import re

import webrtc_events_client


def test_it_knows_its_version() -> None:
    assert re.match(r"\d+\.\d+\.\d+", webrtc_events_client.__version__)
