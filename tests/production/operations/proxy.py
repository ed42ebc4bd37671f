"""nginx with `deploy/nginx.conf`: names, ports and paths are other ones, nothing else is."""

import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import trustme

from tests.harness.valkeys import eventually, free_port
from tests.production.operations.tools import adapted, tool
from tests.production.operations.units import DEPLOY

__all__ = ["AROUND", "FILE", "NAME", "Proxy", "head", "nginx", "parsed", "running"]

FILE = (DEPLOY / "nginx.conf").read_text()
NAME = "events.operator.example"
# What stands around the file: on a host that is that of the system.
AROUND = """
{user}daemon off;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
    include webrtc-events.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """Listens on two ports of 127.0.0.1 with a certificate of `ca` for `NAME` and localhost."""

    public: int
    network: int
    ca: trustme.CA
    directory: Path

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def access_log(self) -> str:
        return (self.directory / "webrtc-events.log").read_text()

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def exchange(
        self, request: bytes, port: int, *, tls: bool = True, certificate: trustme.LeafCert | None = None
    ) -> bytes:
        """What comes back until the connection is closed. `certificate` is the client's own."""
        context = self.context()
        if certificate is not None:
            certificate.configure_cert(context)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            connection = context.wrap_socket(plain, server_hostname=NAME) if tls else plain
            with connection:
                connection.sendall(request)
                pieces = []
                while piece := connection.recv(65536):
                    pieces.append(piece)
        return b"".join(pieces)


@contextmanager
def running(directory: Path, api: int, changes: Mapping[str, str] | None = None) -> Iterator[Proxy]:
    """In front of an API on a port of 127.0.0.1; `changes` are made to the file besides."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "temporary").mkdir()
    proxy = Proxy(free_port(), free_port(), trustme.CA(), directory)
    proxy.ca.cert_pem.write_to_path(str(proxy.ca_file))
    certificate = proxy.ca.issue_cert(NAME, "localhost")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(str(directory / "events.pem"), append=number > 0)
    certificate.private_key_pem.write_to_path(str(directory / "events.key"))
    text = adapted(
        FILE,
        {
            **(changes or {}),
            "listen 443 ": f"listen 127.0.0.1:{proxy.public} ",
            "listen 8443 ": f"listen 127.0.0.1:{proxy.network} ",
            # The same again for IPv6, which not every machine has.
            "    listen [::]:443 ssl http2;\n": "",
            "    listen [::]:8443 ssl http2;\n": "",
            "127.0.0.1:9091": f"127.0.0.1:{api}",
            "/etc/nginx/tls": str(directory),
            "/var/log/nginx": str(directory),
        },
    )
    (directory / "webrtc-events.conf").write_text(text)
    with nginx(directory, AROUND, proxy.network):
        yield proxy


@contextmanager
def nginx(directory: Path, configuration: str, port: int) -> Iterator[None]:
    """Runs it in the directory, with `{user}` in its configuration filled in; it is to listen on the port."""
    program = tool("nginx", "nginx")
    user = "user root;\n" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(configuration.format(user=user))
    command = [program, "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]
    log = directory / "nginx.stderr"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, start_new_session=True)

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(listens, "nginx listens")
        yield
        process.send_signal(signal.SIGQUIT)
        assert process.wait(20) == 0, log.read_text()
    finally:
        if process.poll() is None:
            # With the processes that it started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def head(line: str, *headers: str) -> bytes:
    """A request's head, after which the connection is closed; `line` is its first."""
    given = [line, f"Host: {NAME}", "Connection: close", *headers, "", ""]
    return "\r\n".join(given).encode("latin-1")


def parsed(answer: bytes) -> requests.Response:
    """The last answer on a connection, in the form that assertions know."""
    top, _, body = answer.partition(b"\r\n\r\n")
    while top.startswith(b"HTTP/1.1 100 "):
        top, _, body = body.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    response = requests.Response()
    response.status_code = int(lines[0].split()[1])
    response.headers.update(dict(line.split(": ", 1) for line in lines[1:]))
    response._content = body
    return response
