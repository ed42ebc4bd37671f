"""The subscriptions that benchmarks create by the script are those that the service would."""

import os
import subprocess
import sys

from tests.harness.documents import ROOT
from webrtc_events.store.store import Store


def test_subscriptions_are_filled_in_as_the_service_keeps_them(environ: dict[str, str], store: Store) -> None:
    program = ROOT / "bench" / "harness" / "fill_subscriptions.py"
    asked = {"BENCH_SUBSCRIPTIONS": "3", "BENCH_SINKS": "https://app.example/{}"}
    subprocess.run([sys.executable, "-P", program], env=os.environ | environ | asked, check=True, timeout=60)
    made = [subscription for page in store.subscription_lists.pages_of("client-0") for subscription in page]
    assert [subscription.request["sink"] for subscription in made] == [
        "https://app.example/0",
        "https://app.example/1",
        "https://app.example/2",
    ]
