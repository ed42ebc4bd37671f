"""TLS, and the connections that a client keeps."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from webrtc_events_client.client import AsyncClient, Client, Options, errors

from .service import REQUEST, RESOURCE, Received, Reply, Service, SteppedClock


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Service]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    service = Service(tls=context)
    yield service
    service.close()


def test_a_ca_file_is_trusted(make: Callable[..., Any], secure: Service, ca_file: Path) -> None:
    assert make(secure.url, ca_file=ca_file).get("s-11").id == "s-11"
    context = ssl.create_default_context(cafile=ca_file)
    assert make(secure.url, tls_context=context).get("s-11").id == "s-11"


def test_a_certificate_that_nobody_trusts_gets_no_token(
    make: Callable[..., Any], secure: Service, clock: SteppedClock
) -> None:
    with pytest.raises(errors.NotConnected, match="CERTIFICATE_VERIFY_FAILED"):
        make(secure.url).get("s-11")
    assert secure.requests == []
    # It does not change by waiting.
    assert clock.waits == []


def test_options_that_make_no_sense_are_refused(ca_file: Path) -> None:
    for wrong in (
        {"ca_file": ca_file, "tls_context": ssl.create_default_context()},
        {"timeout_s": 0},
        {"max_answer_bytes": 0},
    ):
        with pytest.raises(ValueError, match=r"give|above"):
            Options(**wrong)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No such"):
        Client("https://a.example", "t", options=Options(ca_file="/nowhere"))


def test_connections_are_kept_and_closed(service: Service) -> None:
    service.answers(Reply(200, RESOURCE))
    with Client(service.url, "t") as client:
        for _ in range(3):
            client.get("s-11")
        assert service.connections == 1
    assert service.all_closed.wait(10)


async def _thrice(url: str) -> None:
    async with AsyncClient(url, "t") as client:
        for _ in range(3):
            await client.get("s-11")


def test_async_connections_are_kept_and_closed(service: Service) -> None:
    asyncio.run(_thrice(service.url))
    assert service.connections == 1
    assert service.all_closed.wait(10)


def test_a_connection_that_the_service_closed_is_no_lost_create(service: Service) -> None:
    """Between two calls: kept connections end by the service's timeout."""
    service.answers(Reply(200, RESOURCE, headers={"Connection": "close"}), Reply(201, RESOURCE))
    with Client(service.url, "t") as client:
        client.get("s-11")
        assert service.all_closed.wait(10)
        assert client.create(REQUEST).id == "s-11"


def test_a_call_that_is_cancelled_leaves_the_client_usable(service: Service) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(_received: Received) -> Reply:
        began.set()
        go_on.wait(10)
        return Reply(200, RESOURCE)

    async def calls() -> str:
        async with AsyncClient(service.url, "t") as client:
            service.answers(slow)
            call = asyncio.create_task(client.get("s-11"))
            await asyncio.to_thread(began.wait, 10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            go_on.set()
            service.answers(Reply(200, RESOURCE))
            return (await client.get("s-11")).id

    assert asyncio.run(calls()) == "s-11"


def test_threads_share_a_client(service: Service) -> None:
    service.answers(Reply(200, RESOURCE))
    with Client(service.url, "t") as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _number: client.get("s-11").id, range(200)))
    assert found == ["s-11"] * 200
    assert service.connections <= 8
