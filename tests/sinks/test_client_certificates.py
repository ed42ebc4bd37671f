"""The certificates that are shown to sinks: whose, when they change, and that connections do not mix them."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.harness.authority import Authority
from tests.harness.clocks import NOW, SteppedClock
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import RecordingSink
from tests.sinks.client_files import Files
from tests.sinks.exchanges import MakeSink, ask, collect, post, request, status
from webrtc_events.core.client_certificates import parse_client_certificates
from webrtc_events.core.egress_proxy import EgressProxy, parse_proxy_url
from webrtc_events.core.outcomes import SinkFailure
from webrtc_events.sinks.client_certificates import (
    LOOK_S,
    WARN_DAYS,
    CertificateError,
    ClientCertificates,
)

HOSTS = ("localhost", "127.0.0.1", "sink.example", "a.bank.example")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    return Files(tmp_path, authority)


@pytest.fixture
def sink(authority: Authority) -> Iterator[RecordingSink]:
    """It demands a certificate."""
    with RecordingSink(authority=authority, names=HOSTS) as sink:
        sink.use(authority.asking_context(*HOSTS))
        yield sink


@pytest.fixture
def load(clock: SteppedClock) -> Callable[[str], ClientCertificates]:
    return lambda setting: ClientCertificates(parse_client_certificates(setting), clock)


Load = Callable[[str], ClientCertificates]


def subjects(sink: RecordingSink) -> list[str]:
    return [received.subject for received in sink.requests]


def url(sink: RecordingSink, host: str = "localhost") -> str:
    return f"https://{host}:{sink.port}/"


# Whose


def test_a_sink_that_demands_a_certificate_gets_it(
    sink: RecordingSink, make: MakeSink, load: Load, files: Files
) -> None:
    client = make(certificates=load(files.setting))
    assert status(post(client, sink.url)) == 204
    assert status(ask(client, sink.url)) == 204
    assert subjects(sink) == ["client", "client"]
    assert isinstance(post(make(), sink.url), SinkFailure)


def test_a_sink_that_does_not_ask_sees_none(
    authority: Authority, make: MakeSink, load: Load, files: Files
) -> None:
    with RecordingSink(authority=authority) as server:
        assert status(post(make(certificates=load(files.setting)), server.url)) == 204
        assert subjects(server) == [""]


def test_a_file_may_hold_both(
    sink: RecordingSink, make: MakeSink, load: Load, files: Files, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    assert status(post(make(certificates=load(str(both))), sink.url)) == 204


@pytest.mark.parametrize(
    ("host", "subject"),
    [
        ("a.bank.example", "exact"),
        ("b.bank.example", "bank"),
        ("x.y.bank.example", "bank"),
        ("z.deep.bank.example", "deep"),
        ("bank.example", "all"),
        ("A.bank.example.", "exact"),
        ("notbank.example", "all"),
        ("[::1]", "six"),
        ("127.0.0.1", "all"),
    ],
)
def test_the_nearest_pattern_counts(
    host: str, subject: str, tmp_path: Path, authority: Authority, load: Load
) -> None:
    patterns = {
        "exact": "a.bank.example=",
        "bank": "*.bank.example=",
        "deep": "*.deep.bank.example=",
        "six": "[::1]=",
        "all": "",
    }
    made = {name: Files(tmp_path, authority, name) for name in patterns}
    certificates = load(",".join(f"{pattern}{made[name].setting}" for name, pattern in patterns.items()))
    identity = certificates.of(f"https://{host}:9443/x")
    assert identity is not None
    assert identity.certificate == made[subject].certificate.read_bytes()


def test_without_one_for_all_other_sinks_see_none(
    authority: Authority, make: MakeSink, load: Load, files: Files
) -> None:
    with RecordingSink(authority=authority, names=HOSTS) as server:
        server.use(authority.asking_context(*HOSTS, required=False))
        client = make(certificates=load(f"localhost={files.setting}"))
        for host in ("localhost", "127.0.0.1", "localhost", "127.0.0.1"):
            assert status(post(client, url(server, host))) == 204
        assert subjects(server) == ["client", "", "client", ""]


def test_many_identities_at_once_do_not_mix(
    sink: RecordingSink, make: MakeSink, tmp_path: Path, authority: Authority, load: Load
) -> None:
    """The same server, at the same address, by names with certificates of their own."""
    names = {"localhost": "one", "sink.example": "two", "a.bank.example": "three"}
    setting = ",".join(f"{host}={Files(tmp_path, authority, name).setting}" for host, name in names.items())
    client = make(certificates=load(setting), lookup=lambda _: ["127.0.0.1"])
    for _ in range(25):
        for number, host in enumerate(list(names) * 4):
            client.submit(number, request(f"https://{host}:{sink.port}/{names[host]}"))
        assert {status(reply) for reply in collect(client, 12).values()} == {204}
    assert all(received.path == f"/{received.subject}" for received in sink.requests)


@pytest.mark.parametrize("credentials", [None, "me:pass"])
def test_the_sink_gets_it_through_a_proxy_and_the_proxy_does_not(
    credentials: str | None,
    sink: RecordingSink,
    authority: Authority,
    make: MakeSink,
    load: Load,
    files: Files,
) -> None:
    context = authority.asking_context("localhost", required=False)
    with ConnectProxy(context=context, credentials=credentials or "") as proxy:
        way = EgressProxy(parse_proxy_url(proxy.url), credentials=credentials, ca_file=authority.ca_file)
        client = make(certificates=load(files.setting), proxy=way)
        assert status(post(client, url(sink, "sink.example"))) == 204
        assert subjects(sink) == ["client"]
        assert proxy.subjects == [""]


# Rotation


def test_a_new_pair_is_used_within_the_interval_and_no_old_connection_with_it(
    sink: RecordingSink, make: MakeSink, load: Load, files: Files, clock: SteppedClock
) -> None:
    client = make(certificates=load(files.setting))
    post(client, sink.url)
    files.rotate("second")
    files.write()
    post(client, sink.url)
    clock.sleep(LOOK_S)
    for _ in range(3):
        client.poll(0)
        post(client, sink.url)
    assert subjects(sink) == ["client", "client", "second", "second", "second"]
    assert sink.connections == 2


def test_a_pair_of_which_one_is_not_written_yet_is_not_used(
    sink: RecordingSink,
    make: MakeSink,
    load: Load,
    files: Files,
    clock: SteppedClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client = make(certificates=load(files.setting))
    files.rotate("second")
    files.write(key=False)
    for _ in range(5):
        clock.sleep(LOOK_S)
        client.poll(0)
        post(client, sink.url)
    assert set(subjects(sink)) == {"client"}
    [line] = caplog.messages
    assert "the former client certificate goes on being used" in line
    assert str(files.key) in line
    files.write(certificate=False)
    clock.sleep(LOOK_S)
    client.poll(0)
    post(client, sink.url)
    assert subjects(sink)[-1] == "second"
    assert "was read anew; it is valid until" in caplog.messages[1]
    assert files.secret.decode() not in caplog.text


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "gone", "password", "folder"])
def test_what_cannot_be_read_changes_nothing_and_says_why(
    damage: str, load: Load, files: Files, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = load(files.setting)
    before = certificates.of("https://x/")
    pem = files.key.read_bytes()
    if damage in ("gone", "folder"):
        files.key.unlink()
        if damage == "folder":
            files.key.mkdir()
    elif damage == "password":
        locked = BestAvailableEncryption(b"word")
        key = load_pem_private_key(pem, None)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    else:
        files.key.write_bytes(
            {"empty": b"", "half": pem[: len(pem) // 2], "garbage": b"\0\xff" * 500}[damage]
        )
    for _ in range(5):
        clock.sleep(LOOK_S)
        certificates.look()
    assert certificates.of("https://x/") is before
    [line] = caplog.messages
    assert str(files.key) in line
    assert pem.splitlines()[1].decode() not in line
    # Once it is right again it is read again.
    if damage == "folder":
        files.key.rmdir()
    files.rotate("second")
    files.write()
    clock.sleep(LOOK_S)
    certificates.look()
    assert certificates.of("https://x/") is not before


def test_a_link_that_is_moved_is_a_change(
    tmp_path: Path, authority: Authority, load: Load, clock: SteppedClock
) -> None:
    """As Kubernetes replaces a secret: all files at once, by one link."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made = Files(tmp_path / name, authority, "tls")
    link = tmp_path / "now"
    link.symlink_to("first")
    certificates = load(f"{link}/tls.pem:{link}/tls.key")
    beside = tmp_path / "beside"
    beside.symlink_to("second")
    beside.replace(link)
    clock.sleep(LOOK_S)
    certificates.look()
    identity = certificates.of("https://x/")
    assert identity is not None
    assert identity.certificate == made.certificate.read_bytes()


def test_files_are_looked_at_at_most_once_in_the_interval(
    load: Load, files: Files, clock: SteppedClock
) -> None:
    certificates = load(files.setting)
    certificates.look()
    before = certificates.of("https://x/")
    files.rotate("second")
    files.write()
    for _ in range(1_000):
        clock.sleep(LOOK_S / 1_001)
        certificates.look()
        assert certificates.of("https://x/") is before
    clock.sleep(1)
    certificates.look()
    assert certificates.of("https://x/") is not before


def test_a_thousand_are_delivered_over_rotations_and_restarts_of_the_proxy(
    sink: RecordingSink, make: MakeSink, load: Load, files: Files, clock: SteppedClock
) -> None:
    with ConnectProxy() as proxy:
        way = EgressProxy(parse_proxy_url(proxy.url))
        client = make(certificates=load(files.setting), proxy=way)
        waiting, done, subject = list(range(1_000)), 0, 0
        while done < 1_000:
            while waiting and client.in_flight < 16:
                client.submit(waiting[0], request(url(sink, "sink.example")))
                del waiting[0]
            for number, reply in client.poll(5):
                if isinstance(reply, SinkFailure):
                    assert reply.by_proxy, reply
                    waiting.append(number)
                else:
                    done += 1
            if done >= (subject + 1) * 200:
                subject += 1
                files.rotate(f"client {subject}")
                files.write()
                clock.sleep(LOOK_S)
                proxy.stop()
                proxy.start()
    assert set(subjects(sink)) == {"client", *(f"client {number}" for number in range(1, subject))}


# Faults and dates


@pytest.mark.parametrize("damage", ["other key", "no key", "no certificate"])
def test_a_pair_that_cannot_be_used_is_an_error_at_the_start(
    damage: str, load: Load, files: Files, authority: Authority
) -> None:
    if damage == "other key":
        files.rotate("second")
        files.write(key=False)
    else:
        (files.key if damage == "no key" else files.certificate).write_text("nothing")
    with pytest.raises(CertificateError) as raised:
        load(files.setting)
    assert files.secret.decode() not in str(raised.value)


def test_the_key_is_not_shown(load: Load, files: Files) -> None:
    identity = load(files.setting).of("https://x/")
    assert files.secret.decode() not in repr(identity)
    assert "PRIVATE" not in repr(identity)


def test_a_certificate_that_expires_soon_is_named_once_a_day(
    load: Load, files: Files, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ends = datetime.fromtimestamp(NOW, UTC).replace(microsecond=0) + timedelta(days=WARN_DAYS + 2)
    files.rotate("client", not_after=ends)
    files.write()
    certificates = load(files.setting)
    [expiry] = certificates.expiries()
    assert expiry == (str(files.certificate), (WARN_DAYS + 2) * 86_400)

    def pass_days(days: int) -> None:
        for _ in range(days * 24):
            clock.sleep(3_600)
            certificates.look()

    pass_days(1)
    assert caplog.messages == []
    pass_days(WARN_DAYS + 3)
    expires = [line for line in caplog.messages if "expires in" in line]
    assert [int(line.split()[-2]) for line in expires] == sorted(range(1, WARN_DAYS + 1), reverse=True)
    assert "has expired" in caplog.messages[-1]
    assert certificates.expiries()[0].left_s < 0
    # A new one ends it.
    caplog.clear()
    files.rotate("client", not_after=ends + timedelta(days=365))
    files.write()
    pass_days(5)
    assert ["was read anew" in line for line in caplog.messages] == [True]
