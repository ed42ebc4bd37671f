"""A real Kamailio with the config that we ship, on loopback."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.gateways.harness.ports import free_port
from tests.harness.commands import eventually

__all__ = ["CONFIG", "Kamailio"]

CONFIG: Final = Path(__file__).parents[3] / "deploy" / "kamailio" / "kamailio-minimal.cfg"
_BOUND_S: Final = 30.0
_OPTIONS: Final = (
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKping\r\n"
    "From: <sip:ping@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


class Kamailio:
    """A context manager. `defines` are those of the config, such as NO_ANSWER_MS."""

    def __init__(self, folder: Path, *, memory_mib: int = 64, config: Path = CONFIG, **defines: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port(socket.SOCK_DGRAM)
        self.evapi = free_port()
        self.log = folder / "kamailio.log"
        self._folder = folder
        given = [f'WEBRTC_EVENTS_LISTEN="127.0.0.1:{self.evapi}"', *(f"{k}={v}" for k, v in defines.items())]
        self._command = [
            *("kamailio", "-f", str(config), "-l", f"udp:127.0.0.1:{self.port}", "-DD", "-E"),
            *("-Y", str(folder), "-P", str(folder / "pid"), "-m", str(memory_mib), "-M", "8"),
            *(part for define in given for part in ("-A", define)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *defines: str) -> None:
        """With further defines. Returns when it answers."""
        command = [*self._command, *(part for define in defines for part in ("-A", define))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        eventually(self._answers, _BOUND_S)

    def kill(self) -> None:
        """As a crash: it says goodbye to nobody."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_BOUND_S)

    def stop(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_BOUND_S)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def errors(self) -> list[str]:
        """What its log has of errors."""
        words = (" ERROR: ", " CRITICAL: ", " WARNING: ")
        return [
            line
            for line in self.log.read_text(errors="replace").splitlines()
            if any(w in line for w in words)
        ]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.2)
            try:
                probe.sendto(_OPTIONS.format(port=probe.getsockname()[1]).encode(), ("127.0.0.1", self.port))
                return probe.recv(2048).startswith(b"SIP/2.0")
            except OSError:
                return False
