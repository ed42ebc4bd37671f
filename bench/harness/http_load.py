"""Sends requests over persistent connections as fast as they are answered, from one thread by libcurl."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice

import pycurl

__all__ = ["Connection", "Load", "Request", "finished", "load"]


@dataclass(frozen=True)
class Request:
    """`expect` is the status of the answer."""

    method: str
    url: str
    expect: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """Latencies in ms, from the request's start to the end of its answer."""

    requests: int
    per_s: float
    p50: float
    p99: float


class Connection:
    """A handle of libcurl, which keeps its connection, with the request that it has under way."""

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self.answer = BytesIO()
        self.curl.setopt(pycurl.WRITEFUNCTION, self.answer.write)
        self.curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        self._request: Request | None = None
        self._started_s = 0.0

    def start(self, request: Request) -> None:
        curl = self.curl
        curl.setopt(pycurl.URL, request.url)
        # Without "Expect", for which a large body would wait.
        headers = [f"{name}: {value}" for name, value in request.headers.items()]
        curl.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])
        if request.method == "POST":
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.POSTFIELDS, request.body)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        self._request = request
        self.answer.seek(0)
        self.answer.truncate()
        self._started_s = time.perf_counter()

    def finish(self) -> float:
        """How long it took, in ms.

        Raises:
            RuntimeError: another status than expected.
        """
        took_s = time.perf_counter() - self._started_s
        assert self._request is not None
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status != self._request.expect:
            raise RuntimeError(f"{self._request.url} answered {status}: {self.answer.getvalue()[:300]!r}")
        return took_s * 1000


def load(
    requests: Iterator[Request], *, connections: int, seconds: float = math.inf, count: int | None = None
) -> Load:
    """Until `seconds` are over or `count` requests are answered; each connection has one under way."""
    requests = islice(requests, count)
    multi = pycurl.CurlMulti()
    idle = [Connection() for _ in range(connections)]
    busy: dict[pycurl.Curl, Connection] = {}
    took: list[float] = []
    started = time.perf_counter()
    until = started + seconds
    while busy or time.perf_counter() < until:
        while idle and time.perf_counter() < until:
            if (request := next(requests, None)) is None:
                until = 0.0
                break
            connection = idle.pop()
            connection.start(request)
            multi.add_handle(connection.curl)
            busy[connection.curl] = connection
        multi.perform()
        over = finished(multi)
        for curl in over:
            multi.remove_handle(curl)
            connection = busy.pop(curl)
            took.append(connection.finish())
            idle.append(connection)
        if not over:
            multi.select(1.0)
    ordered = sorted(took)
    return Load(
        requests=len(took),
        per_s=len(took) / (time.perf_counter() - started),
        p50=ordered[len(ordered) // 2],
        p99=ordered[int(len(ordered) * 0.99)],
    )


def finished(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    """The handles whose transfers are over.

    Raises:
        RuntimeError: one failed.
    """
    done: list[pycurl.Curl] = []
    queued = 1
    while queued:
        queued, succeeded, failed = multi.info_read()
        if failed:
            raise RuntimeError(f"a request failed: {failed[0][1:]}")
        done += succeeded
    return done
