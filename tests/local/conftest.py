"""Commands as people run them, and a browser."""

from tests.harness.commands import api, chromium, data, sink_client, start, start_serve

__all__ = ["api", "chromium", "data", "sink_client", "start", "start_serve"]
