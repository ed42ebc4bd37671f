"""docs/operations/install.md says for how long idle connections are kept."""

import re

from tests.harness.documents import ROOT, Document
from webrtc_events import gunicorn_conf


def test_the_document_says_for_how_long_idle_connections_are_kept() -> None:
    text = " ".join(Document("operations/install.md").text.split())
    said = re.findall(r"for less than the API's own (\d+) s, as here for (\d+) s", text)
    file = (ROOT / "deploy" / "nginx.conf").read_text()
    (proxy_s,) = set(re.findall(r"^    keepalive_timeout (\d+)s;", file, re.MULTILINE))
    assert said == [(str(gunicorn_conf.keepalive), proxy_s)]
