"""A sink for what is large: nginx, which takes every notification and notes its path and size."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.harness.valkeys import free_port
from tests.production.operations.proxy import nginx

__all__ = ["LargeSink", "large_sink"]

_CONFIG = """
{user}daemon off;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path temporary;
    log_format taken '$uri $content_length';
    server {{
        listen 127.0.0.1:PORT ssl;
        ssl_certificate sink.pem;
        ssl_certificate_key sink.pem;
        access_log taken.log taken;
        client_max_body_size 2m;
        keepalive_requests 100000;
        location / {{ return 204; }}
    }}
}}
"""


@dataclass(frozen=True)
class LargeSink:
    directory: Path
    port: int

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}/{path}"

    def taken(self, least: int = 0) -> Counter[str]:
        """How many notifications of at least this number of bytes came to each path."""
        lines = (self.directory / "taken.log").read_text().splitlines()
        found = (line.rpartition(" ") for line in lines)
        return Counter(path.removeprefix("/") for path, _, size in found if int(size) >= least)


@contextmanager
def large_sink(directory: Path) -> Iterator[LargeSink]:
    directory.mkdir()
    (directory / "temporary").mkdir()
    (directory / "taken.log").touch()
    sink = LargeSink(directory, free_port())
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(sink.ca_file))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(directory / "sink.pem")
    )
    with nginx(directory, _CONFIG.replace("PORT", str(sink.port)), sink.port):
        yield sink
