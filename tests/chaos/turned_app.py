"""For gunicorn: the application, with the store's time as the file of the dials has it."""

import os
import sys
from pathlib import Path
from typing import Any

# Last, so that the installed package comes before the working tree.
sys.path.append(str(Path(__file__).parents[2]))

from tests.chaos.dials import Dials
from tests.chaos.turned import turn_store
from webrtc_events import app

__all__ = ["DIALS", "create_app"]

DIALS = "CHAOS_DIALS"


def create_app() -> Any:
    turn_store(Dials(Path(os.environ[DIALS])))
    return app.create_app()
