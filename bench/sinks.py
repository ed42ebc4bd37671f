"""Sinks for benchmarks: fast ones that log what arrives and when, and ones that never answer.

As a program it serves one kind on many ports until it is stopped:

    python bench/sinks.py KIND CERTIFICATE PORT...

healthy answers 204 and prints a line for each notification: seconds since the epoch, event id.
silent accepts a connection and sends nothing. deaf does the TLS handshake, reads, and sends nothing. drip
sends one byte of an answer each second.
"""

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import trustme

__all__ = [
    "arrivals",
    "arrivals_file",
    "certificates",
    "forget_arrivals",
    "free_ports",
    "healthy_sinks",
    "sick_sinks",
]

_THIS = (sys.executable, str(Path(__file__).resolve()))
_START_S = 20.0
_ID = re.compile(rb'"id":"([^"]+)"')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"

# It answers once it has read the body, which the mirror makes it do, and notes the event's id: a proxy that
# reads it takes three times the CPU. The status page is what refuses a POST with the least work.
_NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  client_body_buffer_size 64k; client_body_in_single_buffer on;
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
  map $request_body $event {{ default -; '~"id":"(?<found>[^"]+)"' $found; }}
  log_format arrivals '$msec $event';
  keepalive_requests 1000000; keepalive_timeout 1h;
  server {{
    {listen}
    access_log {arrivals} arrivals buffer=32k flush=100ms;
    location / {{ mirror /read; mirror_request_body on; stub_status; error_page 405 =204 @received; }}
    location = /read {{ internal; access_log off; return 204; }}
    location @received {{ return 204; }}
    {hanging}
  }}
}}
"""
_HANGING = """
    location /hang/ {{ access_log off; proxy_pass http://127.0.0.1:{silent_port}; proxy_read_timeout 1h; }}
"""


def certificates(folder: Path) -> tuple[Path, Path]:
    """A CA, and a certificate for every sink of a benchmark: both as files, the latter with its key."""
    ca = trustme.CA()
    ca_file, certificate = folder / "ca.pem", folder / "sinks.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    issued = ca.issue_cert("127.0.0.1", "*.bench.test")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return ca_file, certificate


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@contextmanager
def healthy_sinks(
    folder: Path,
    certificate: Path,
    ports: Sequence[int],
    *,
    http2: bool = True,
    silent_port: int | None = None,
) -> Iterator[str]:
    """Serves them from another process; yields what it is: nginx, or else this module.

    With `silent_port`, paths below /hang/ never answer: nginx asks there, where a silent sink is.
    """
    nginx = shutil.which("nginx")
    with ExitStack() as stack:
        log = stack.enter_context(arrivals_file(folder).open("ab"))
        if nginx is None and silent_port is not None:
            raise RuntimeError("paths that hang beside others take nginx")
        if nginx is None:
            stack.enter_context(_process((*_THIS, "healthy", str(certificate), *map(str, ports)), log, ports))
        else:
            config = folder / "nginx.conf"
            config.write_text(
                _NGINX.format(
                    folder=folder,
                    certificate=certificate,
                    listen=" ".join(f"listen 127.0.0.1:{port} ssl{' http2' * http2};" for port in ports),
                    arrivals=arrivals_file(folder),
                    hanging="" if silent_port is None else _HANGING.format(silent_port=silent_port),
                    user="user root;" if os.geteuid() == 0 else "",
                )
            )
            command = (nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config))
            stack.enter_context(_process(command, None, ports))
        yield "nginx" if nginx else "Python"


@contextmanager
def sick_sinks(kind: str, certificate: Path, ports: Sequence[int]) -> Iterator[None]:
    """Serves sinks of one kind that do not answer."""
    with _process((*_THIS, kind, str(certificate), *map(str, ports)), None, ports):
        yield


@contextmanager
def _process(command: Sequence[str], output: IO[bytes] | None, ports: Sequence[int]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=output) as process:
        try:
            until = time.monotonic() + _START_S
            while not all(map(_is_open, ports)):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not serve {ports[0]} and the others")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def arrivals_file(folder: Path) -> Path:
    """Where a healthy sink notes what comes, in order."""
    return folder / "arrivals.log"


def arrivals(folder: Path) -> list[tuple[float, str]]:
    """What came to healthy sinks so far: seconds since the epoch, event id. In order."""
    lines = arrivals_file(folder).read_text().splitlines()
    found = (line.partition(" ") for line in lines)
    return sorted((float(moment), event) for moment, _, event in found if event not in ("", "-"))


def forget_arrivals(folder: Path) -> None:
    """The writer goes on at the end of the file, which is its beginning now."""
    os.truncate(arrivals_file(folder), 0)


class _Healthy(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as little of it as libcurl needs."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            event = _ID.search(self._buffer, end, whole)
            self._buffer = self._buffer[whole:]
            print(f"{time.time():.3f} {event[1].decode() if event else '-'}")
            assert isinstance(self._transport, asyncio.WriteTransport)
            self._transport.write(_NO_CONTENT)


class _Silent(asyncio.Protocol):
    """Reads and never answers; without TLS, the handshake never begins."""


class _Drip(asyncio.Protocol):
    """An answer that never comes to the end of its first line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._send(b"HTTP/1.1 200 " + b"K" * 3600)

    def _send(self, unsent: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        if not self._transport.is_closing():
            self._transport.write(unsent[:1])
            asyncio.get_running_loop().call_later(1.0, self._send, unsent[1:])


async def _serve(kind: str, certificate: str, ports: Sequence[int]) -> None:
    protocols: dict[str, Callable[[], asyncio.Protocol]] = {
        "healthy": _Healthy,
        "silent": _Silent,
        "deaf": _Silent,
        "drip": _Drip,
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    for port in ports:
        tls = None if kind == "silent" else context
        await loop.create_server(protocols[kind], "127.0.0.1", port, ssl=tls, backlog=512)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(_serve(sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]))
