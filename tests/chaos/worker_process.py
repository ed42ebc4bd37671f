"""Run as a script: `webrtc-events worker`, with values that have no setting since nobody should change them.

Arguments: the file of the dials; a lease and the longest time of a POST, both in ms.
"""

import logging
import os
import sys
from pathlib import Path

# Last, so that the installed package comes before the working tree.
sys.path.append(str(Path(__file__).parents[2]))

from tests.chaos.dials import Dials, TurnedClock
from tests.chaos.turned import turn_store
from webrtc_events.core.settings import Settings
from webrtc_events.core.stop_signals import StopSignals
from webrtc_events.delivery.dispatcher import DispatcherOptions
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.worker import Worker


def main(dials: Dials, lease_ms: int, exchange_ms: int) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    turn_store(dials)
    with StopSignals() as signals:
        worker = Worker.build(
            Settings.from_environ(os.environ),
            TurnedClock(dials),
            options=DispatcherOptions(limits=SinkLimits(connect_ms=exchange_ms, total_ms=exchange_ms)),
            store_options=StoreOptions(lease_ms=lease_ms),
        )
        worker.start()
        print("Delivering.", file=sys.stderr, flush=True)
        # Whether its threads come round is not asked: when time is turned, they seem not to.
        while not signals.wait(1.0):
            pass
        worker.stop()


if __name__ == "__main__":
    main(Dials(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]))
