"""The addresses of the `serve` on a data directory, in a file for the other commands."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from webrtc_events.local.data_directory import write_private
from webrtc_events.local.local_error import LocalError

__all__ = [
    "API_PORT",
    "CONSOLE_PATH",
    "DEFAULT_CLIENT",
    "PATH_OF_0_2",
    "PATH_OF_0_3",
    "SINK_PORT",
    "Endpoints",
]

DEFAULT_CLIENT = "local"
"""The client of local access tokens, if nobody says another."""
API_PORT = 9091
SINK_PORT = 9443
CONSOLE_PATH = "/console"
PATH_OF_0_2 = "/webrtc-events/v0.2"
PATH_OF_0_3 = "/webrtc-events-subscriptions/v0.3rc1"
"""Of each version of the public API, as its contract's server has it."""
_FILE = "serve.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Base URLs without a final slash. `issuer` is None if `serve` trusts an issuer elsewhere.

    `untrusted_sink` is the sink with a certificate that nobody trusts.
    """

    api: str = f"http://127.0.0.1:{API_PORT}"
    issuer: str | None = f"http://127.0.0.1:{API_PORT}/issuer"
    sink: str = f"https://localhost:{SINK_PORT}"
    untrusted_sink: str = f"https://localhost:{SINK_PORT + 1}"
    audience: str = "webrtc-events"

    @property
    def public(self) -> str:
        return self.api + PATH_OF_0_2

    @property
    def public_v0_3(self) -> str:
        """Served if `WEBRTC_EVENTS_NEXT` is set."""
        return self.api + PATH_OF_0_3

    @property
    def network(self) -> str:
        return f"{self.api}/network/v0"

    @property
    def console(self) -> str:
        return f"{self.api}{CONSOLE_PATH}/"

    @classmethod
    def read(cls, data: Path) -> "Endpoints":
        """What the last `serve` wrote, running or not; the defaults if there was none.

        Raises:
            LocalError: the file is damaged.
        """
        path = data / _FILE
        try:
            return cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError) as error:
            raise LocalError(f"{path} cannot be read ({error}); start `webrtc-events serve` again") from error

    @staticmethod
    def exists(data: Path) -> bool:
        """Whether a `serve` has run there."""
        return (data / _FILE).exists()

    def write(self, data: Path) -> None:
        write_private(data / _FILE, json.dumps(asdict(self), indent=2).encode() + b"\n")
