"""A real Kamailio as a registrar on loopback, without anything of the adapter in it."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.gateways.harness.ports import free_port
from tests.harness.commands import eventually

__all__ = ["Registrar"]

_BOUND_S: Final = 30.0
_OPTIONS: Final = (
    "OPTIONS sip:ping@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKping\r\n"
    "From: <sip:ping@127.0.0.1>;tag=1\r\nTo: <sip:ping@127.0.0.1>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
)


class Registrar:
    """A context manager. `ring_ms`: after this time an INVITE without a final response gets 408."""

    def __init__(self, folder: Path, ring_ms: int = 8_000) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        self.uri = f"sip:127.0.0.1:{self.port}"
        self.log = folder / "registrar.log"
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._config = folder / "registrar.cfg"
        self._config.write_text(_config(self.port, ring_ms), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, user: str) -> str:
        return f"sip:{user}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["kamailio", "-f", self._config, "-Y", self._folder, "-P", self._folder / "registrar.pid",
                 "-DD", "-E", "-m", "32", "-M", "4"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, _BOUND_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_BOUND_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(_BOUND_S)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.2)
            try:
                probe.sendto(_OPTIONS.format(port=probe.getsockname()[1]).encode(), ("127.0.0.1", self.port))
                return probe.recv(2048).startswith(b"SIP/2.0")
            except OSError:
                return False


def _config(port: int, ring_ms: int) -> str:
    names = ["tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "usrloc", "registrar"]
    loads = "\n".join(f'loadmodule "{name}.so"' for name in names)
    return f"""
debug=2
log_stderror=yes
children=1
listen=udp:127.0.0.1:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
{loads}
modparam("tm", "fr_inv_timer", {ring_ms})
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    sl_send_reply("404", "Not here"); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  t_check_trans();
  if (is_method("INVITE")) record_route();
  if (is_method("REGISTER")) {{ save("location"); exit; }}
  if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  t_relay();
}}
"""
