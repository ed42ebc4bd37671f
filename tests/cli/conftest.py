"""Commands as people run them."""

from tests.harness.commands import api, data, sink_client, start, start_serve

__all__ = ["api", "data", "sink_client", "start", "start_serve"]
